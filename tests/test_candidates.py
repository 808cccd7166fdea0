"""Candidate lists: what may be in them, what they depend on, and what makes two numbers comparable."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from polo import PAD, InputError, ItemTable, Known, Ragged, Rows, Sequences, Splits
from polo.candidates import attach, attach_all, in_words, protocol, protocol_hash

N_ITEMS = 30
USERS = 6


def make_splits(seed: int = 0, rows: int = 24, n_items: int = N_ITEMS) -> Splits:
    """Users with 8 items each; rows show up to 3 of them and aim at another."""
    rng = np.random.default_rng(seed)
    owned = np.stack([rng.permutation(n_items)[:8] for _ in range(USERS)])
    user = np.arange(rows) % USERS
    history = owned[user, :3].copy()
    history[::4, 0] = PAD
    made = Rows(np.arange(rows) + 1000, user, history, owned[user, 3 + np.arange(rows) // USERS % 5])
    flat = np.repeat(np.arange(USERS), 8)
    train = np.repeat(np.arange(USERS), 5)
    return Splits(
        name="toy",
        form="made",
        items=ItemTable([f"t{i}" for i in range(n_items)], [str(i) for i in range(n_items)]),
        train=made,
        valid=made[:0],
        test=made,
        sequences=Sequences.of(range(USERS), owned[:, :5].tolist()),
        known_train=Known(train, owned[:, :5].ravel(), n_items),
        known_all=Known(flat, owned.ravel(), n_items),
        fingerprint="f",
    )


SPLITS = make_splits()


def lists_of(rows: Rows, **changes: Any) -> np.ndarray:
    asked = {"n": 10, "negatives": "uniform", "seed": 0, "known": SPLITS.known_all} | changes
    out = attach(SPLITS, rows, **asked).candidates
    assert out is not None
    return out


@given(st.integers(0, 5), st.integers(2, 22), st.sampled_from(["known_all", "known_train"]))
def test_a_list_holds_the_target_once_and_nothing_the_user_knows(seed: int, n: int, known: str) -> None:
    rows = SPLITS.test
    lists = lists_of(rows, seed=seed, n=n, known=getattr(SPLITS, known))
    assert lists.shape == (len(rows), n)
    assert ((lists == rows.target[:, None]).sum(axis=1) == 1).all()
    assert all(len(set(row)) == n for row in lists.tolist())
    others = lists != rows.target[:, None]
    assert not (getattr(SPLITS, known).has(rows.user, lists) & others).any()
    assert not (lists[:, :, None] == rows.history[:, None, :]).any()


@given(st.permutations(range(24)), st.integers(1, 24))
def test_lists_stay_the_same_when_rows_are_shuffled_or_left_out(order: list[int], size: int) -> None:
    some = np.array(order[:size])
    assert (lists_of(SPLITS.test[some]) == lists_of(SPLITS.test)[some]).all()


def test_the_target_stands_anywhere_with_equal_chance() -> None:
    many = SPLITS.test[np.arange(20_000) % len(SPLITS.test)]
    many = replace(many, id=np.arange(20_000))
    place = (lists_of(many) == many.target[:, None]).argmax(axis=1)
    assert chisquare(np.bincount(place, minlength=10)).pvalue > 1e-3


def test_rows_of_one_target_do_not_share_their_negatives() -> None:
    row = SPLITS.test[np.zeros(200, np.int64)]
    lists = lists_of(replace(row, id=np.arange(200)))
    # 9 of the 22 items that user 0 does not know: two independent draws share 9 * 9 / 22 = 3.7 on average
    shared = [len(set(a) & set(b)) - 1 for a, b in zip(lists.tolist(), lists[1:].tolist(), strict=False)]
    assert 3.2 < float(np.mean(shared)) < 4.2


def test_another_seed_gives_other_lists_and_the_same_seed_the_same() -> None:
    assert (lists_of(SPLITS.test) == lists_of(SPLITS.test)).all()
    assert (lists_of(SPLITS.test) != lists_of(SPLITS.test, seed=1)).any()


def test_training_lists_may_hold_held_out_items_and_evaluation_lists_may_not() -> None:
    many = replace(SPLITS.test[np.arange(300) % 24], id=np.arange(300))
    train, evaluation = lists_of(many, known=SPLITS.known_train), lists_of(many)
    others = train != many.target[:, None]
    assert (SPLITS.known_all.has(many.user, train) & others).any()
    assert not (SPLITS.known_all.has(many.user, evaluation) & (evaluation != many.target[:, None])).any()


def test_more_candidates_than_items_is_an_error_that_names_row_and_user() -> None:
    with pytest.raises(InputError, match=r"fewer candidates than asked: row 1000 \(user 0\) has 22 items") as error:
        lists_of(SPLITS.test, n=24)
    assert "set candidates.n to 23 or less" in str(error.value)
    assert lists_of(SPLITS.test, n=23).shape == (24, 23)


def test_a_list_as_long_as_what_the_user_does_not_know_holds_all_of_it() -> None:
    """30 items of which a user knows 8: 22 others and the target fill 23 places; one more is refused."""
    rows = SPLITS.test[:6]
    made, every = lists_of(rows, n=23), np.tile(np.arange(N_ITEMS), (6, 1))
    free = ~SPLITS.known_all.has(rows.user, every)
    free[np.arange(6), rows.target] = True
    for line, row in zip(made, free, strict=True):
        assert sorted(line.tolist()) == np.flatnonzero(row).tolist()
    with pytest.raises(InputError, match="24"):
        lists_of(rows, n=24)


def test_lists_of_the_file_are_taken_as_they_are() -> None:
    own = np.stack([SPLITS.test.target, (SPLITS.test.target + 1) % N_ITEMS], axis=1)
    assert (lists_of(SPLITS.test.with_candidates(own), negatives="file", n=2) == own).all()
    with pytest.raises(InputError, match=r"set candidates\.n to 2"):
        lists_of(SPLITS.test.with_candidates(own), negatives="file", n=20)
    with pytest.raises(InputError, match="no candidate lists of its own"):
        lists_of(SPLITS.test, negatives="file")


def described(rows: Rows | None = None, splits: Splits = SPLITS, **changes: Any) -> dict[str, Any]:
    rows = rows if rows is not None else attach(splits, splits.test, n=10, known=splits.known_all)
    return protocol(splits, rows, **({"split": "test", "negatives": "uniform", "seed": 0} | changes))


def test_a_protocol_is_plain_data_that_says_how_ties_count() -> None:
    assert json.loads(json.dumps(described())) == described()
    assert len(described()["lists"]) == len(protocol_hash(described())) == 16
    assert described() | {"fingerprint": "f", "lists": ""} == {
        "data": "toy", "form": "made", "fingerprint": "f", "split": "test", "rows": 24, "rows_in_split": 24,
        "subsample_seed": None, "history": 3, "n": 10, "negatives": "uniform", "seed": 0, "lists": "",
        "ties": "expected",
    }  # fmt: skip


def test_whatever_makes_numbers_incomparable_changes_the_hash() -> None:
    rows = attach(SPLITS, SPLITS.test, n=10, known=SPLITS.known_all)
    others = [
        described(splits=replace(SPLITS, name="other")),
        described(splits=replace(SPLITS, form="other")),
        described(splits=replace(SPLITS, fingerprint="g")),
        described(rows[:12], subsample_seed=0),
        described(rows[12:], subsample_seed=0),
        described(seed=1),
        described(negatives="file"),
        described(attach(SPLITS, SPLITS.test, n=11, known=SPLITS.known_all)),
        described(attach(SPLITS, SPLITS.test, n=10, known=SPLITS.known_train)),
        described(replace(rows, history=rows.history[:, 1:])),
        described(split="train"),
    ]
    hashes = {protocol_hash(p) for p in [described(), *others]}
    assert len(hashes) == len(others) + 1
    assert protocol_hash(described()) == protocol_hash(described())


def test_a_seed_that_nothing_is_drawn_by_changes_no_hash() -> None:
    assert described(negatives="file", seed=1) == described(negatives="file", seed=0)


def test_rows_without_lists_have_no_protocol() -> None:
    with pytest.raises(ValueError, match="candidate lists"):
        described(SPLITS.test)


def test_all_leaves_out_what_was_taken_before_and_nothing_that_is_relevant() -> None:
    """Items of the training split, shown ones and, for test rows, those of the validation split; never the target."""
    at = np.arange(USERS)
    held = Rows(at + 500, at, np.full((USERS, 1), PAD), np.sort(SPLITS.test.target)[:USERS])
    splits = replace(SPLITS, valid=held)
    rows = splits.test
    train = [set(SPLITS.sequences[user].tolist()) for user in rows.user]
    shown = [set(rows.history_of(i).tolist()) for i in range(len(rows))]
    before = [{int(held.target[user])} for user in rows.user]
    expected = {
        ("test", "taken"): [a | b | c for a, b, c in zip(train, shown, before, strict=True)],
        ("valid", "taken"): [a | b for a, b in zip(train, shown, strict=True)],
        ("test", "train"): train,
    }
    for (split, mask), left in expected.items():
        found = attach_all(splits, rows, split=split, mask=mask)
        assert found.candidates is None
        assert found.whole is not None
        for i in range(len(rows)):
            without = found.whole.without[np.array([i])].items.tolist()
            assert without == sorted(left[i] - {int(rows.target[i])}), (split, mask, i)
        assert found.whole.lengths.tolist() == [
            N_ITEMS - len(one - {int(t)}) for one, t in zip(left, rows.target, strict=True)
        ]


def test_all_keeps_every_relevant_item_of_a_set() -> None:
    owned = SPLITS.sequences[0].tolist()
    rows = replace(SPLITS.test[:1], target=np.array(owned[:1]), relevant=Ragged.of([owned[:3]]))
    found = attach_all(SPLITS, rows, split="test", mask="train").whole
    assert found is not None
    assert found.without.items.tolist() == sorted(owned[3:])


def test_all_of_a_user_who_took_everything_is_refused() -> None:
    one = np.zeros(N_ITEMS, np.int64)
    splits = replace(SPLITS, known_train=Known(one, np.arange(N_ITEMS), N_ITEMS))
    with pytest.raises(InputError, match="nothing is left to rank: user 0 of row 1000 took every other item"):
        attach_all(splits, SPLITS.test[:1], split="test")


def test_the_protocol_of_all_tells_masks_apart() -> None:
    found = {}
    splits = replace(SPLITS, valid=replace(SPLITS.test[:5], target=(SPLITS.test.target[:5] + 1) % N_ITEMS))
    for mask in ("taken", "train"):
        rows = attach_all(splits, splits.test, split="test", mask=mask)
        found[mask] = protocol(splits, rows, split="test", negatives="uniform", seed=0, mask=mask)
        assert (found[mask]["n"], found[mask]["negatives"], found[mask]["seed"]) == ("all", f"mask {mask}", None)
    assert protocol_hash(found["taken"]) != protocol_hash(found["train"])
    assert found["taken"]["lists"] != found["train"]["lists"]


def test_the_protocol_of_lists_tells_other_relevant_items_apart() -> None:
    rows = attach(SPLITS, SPLITS.test, n=5, known=SPLITS.known_all)
    found = []
    for more in (0, 1):
        sets = Ragged.of([[target, (target + 1 + more) % len(SPLITS.items)] for target in rows.target.tolist()])
        found.append(protocol(SPLITS, replace(rows, relevant=sets), split="test", negatives="uniform", seed=0))
    assert found[0]["lists"] != found[1]["lists"]


def test_a_protocol_in_words_says_what_is_ranked_and_how_it_was_made() -> None:
    lists, all_ = described(), {"n": "all", "negatives": "mask train"}
    assert in_words(lists) == "10 candidates each (uniform)"
    assert in_words(all_) == "the whole catalogue each (mask train)"
