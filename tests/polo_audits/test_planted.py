"""Each fault, planted into clean data, is found by exactly the audit that is there for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Ragged, Rows, Splits
from tests.polo_audits import world
from tests.polo_audits.world import N_ITEMS, N, clean, fired, run, splits_of, with_lists

SEEDS = st.integers(0, 10_000)


def sorted_by_item(seed: int) -> Splits:
    return splits_of([np.sort(one) for one in world.sequences(np.random.default_rng(seed))])


def sorted_with_a_slip(seed: int) -> Splits:
    """As a sorted catalogue, but one item of each third user stands at a wrong place."""
    rng = np.random.default_rng(seed)
    lists = [np.sort(one) for one in world.sequences(rng)]
    for one in lists[::3]:
        a, b = rng.choice(len(one), 2, replace=False)
        one[[a, b]] = one[[b, a]]
    return splits_of(lists)


def tied(seed: int) -> Splits:
    return replace(clean(seed), tied_times=0.5)


def lists_seeded_by_target(seed: int) -> Splits:
    splits = clean(seed)

    def seeded(name: str, rows: Rows) -> Rows:
        lists = np.empty((len(rows), N), np.int64)
        for i in range(len(rows)):
            order = np.random.default_rng(int(rows.target[i])).permutation(N_ITEMS)
            free = order[~splits.known_all.has(rows.user[i : i + 1], order[None])[0]]
            lists[i] = np.roll(np.append(free[: N - 1], rows.target[i]), i)
        return rows.with_candidates(lists)

    return with_lists(splits, seeded)


def _test_rows(splits: Splits, history: np.ndarray, target: np.ndarray, user: np.ndarray) -> Splits:
    test = splits.test
    return replace(splits, test=replace(test, history=history, target=target, user=user))


def training_rows_in_the_test_split(seed: int) -> Splits:
    splits = clean(seed)
    test, train = splits.test, splits.train
    some = np.flatnonzero((train.history != -1).all(axis=1))[:20]
    history, target, user = test.history.copy(), test.target.copy(), test.user.copy()
    history[:20], target[:20], user[:20] = train.history[some], train.target[some], train.user[some]
    return _test_rows(splits, history, target, user)


def targets_inside_the_history(seed: int) -> Splits:
    splits = clean(seed)
    history = splits.test.history.copy()
    history[:20, 1] = splits.test.target[:20]
    return _test_rows(splits, history, splits.test.target, splits.test.user)


def test_rows_twice(seed: int) -> Splits:
    splits = clean(seed)
    twice = splits.test[np.concatenate([np.arange(len(splits.test)), np.arange(20)])]
    return replace(splits, test=replace(twice, id=np.arange(len(twice)) + int(splits.test.id[0])))


test_rows_twice.__test__ = False  # type: ignore[attr-defined]


def consumed_negatives(seed: int) -> Splits:
    splits = clean(seed)

    def spoiled(name: str, rows: Rows) -> Rows:
        assert rows.candidates is not None
        lists = rows.candidates.copy()
        for i in range(0, len(rows), 5):
            place = int(np.flatnonzero(lists[i] != rows.target[i])[0])
            lists[i, place] = rows.history_of(i)[0]
        return rows.with_candidates(lists)

    return with_lists(splits, spoiled)


def target_always_first(seed: int) -> Splits:
    def first(name: str, rows: Rows) -> Rows:
        assert rows.candidates is not None
        lists = rows.candidates.copy()
        place = (lists == rows.target[:, None]).argmax(axis=1)
        lists[np.arange(len(rows)), place] = lists[:, 0]
        lists[:, 0] = rows.target
        return rows.with_candidates(lists)

    return with_lists(clean(seed), first)


def an_item_twice(seed: int) -> Splits:
    def doubled(name: str, rows: Rows) -> Rows:
        assert rows.candidates is not None
        lists = rows.candidates.copy()
        other = (lists != rows.target[:, None]).argsort(axis=1, kind="stable")
        lists[0, other[0, -1]] = lists[0, other[0, -2]]
        return rows.with_candidates(lists)

    return with_lists(clean(seed), doubled)


def _titles(change: Callable[[list[str]], None]) -> Callable[[int], Splits]:
    def spoiled(seed: int) -> Splits:
        splits = clean(seed)
        titles = list(splits.items.titles)
        change(titles)
        return replace(splits, items=replace(splits.items, titles=titles))

    return spoiled


def _set(i: int, title: str) -> Callable[[list[str]], None]:
    return lambda titles: titles.__setitem__(i, title)


def _contained(titles: list[str]) -> None:
    for i in range(len(titles)):
        titles[i] = f"Night{' Night' * i}"


def popular_only(seed: int) -> Splits:
    """All that users take is among 22 items; the rest of the catalogue is negatives.

    Histories of 8: of 5 out of 22 items, one in thirty worlds holds two equal rows by chance, which is another fault.
    """
    rng = np.random.default_rng(seed)
    return splits_of(world.sequences(rng, n_items=22, steep=0.0), history=8)


PLANTED = {
    "order": [sorted_by_item, sorted_with_a_slip],
    "ties": [tied],
    "overlap_file": [lists_seeded_by_target],
    "leakage": [training_rows_in_the_test_split, targets_inside_the_history, test_rows_twice],
    "false_negatives": [consumed_negatives],
    "candidates": [target_always_first, an_item_twice],
    "text": [_titles(_set(3, "  ")), _titles(_set(3, "CafÃ© del Mar")), _titles(_set(3, "Word005")),
             _titles(_set(3, "a\ufffdb")), _titles(_contained)],
    "popularity": [popular_only],
}  # fmt: skip


@settings(max_examples=8)
@given(SEEDS)
def test_law_nothing_fires_on_clean_data(seed: int) -> None:
    assert fired(run(clean(seed))) == set()
    assert fired(run(with_lists(clean(seed)))) == set()


@pytest.mark.parametrize(("name", "plant"), [(name, plant) for name, plants in PLANTED.items() for plant in plants])
@settings(max_examples=2)
@given(seed=SEEDS)
def test_law_exactly_the_audit_of_the_planted_fault_fires(name: str, plant: Callable[[int], Splits], seed: int) -> None:
    assert fired(run(plant(seed))) == {name}


@settings(max_examples=3)
@given(SEEDS)
def test_law_lists_that_the_recipe_uses_are_judged_as_its_own(seed: int) -> None:
    checks = {c.name: c.finding for c in run(lists_seeded_by_target(seed), "file")}
    assert checks["overlap"].verdict == "fail"
    assert "uniform" in checks["overlap"].fix
    assert run(target_always_first(seed), "file")[world.AUDITS.index("candidates")].finding.verdict == "fail"


def with_sets(seed: int) -> Splits:
    """Each test row with two more items that are relevant, and that the user took nowhere else."""
    splits, rng = clean(seed), np.random.default_rng(seed)
    lists = []
    for user, target in zip(splits.test.user.tolist(), splits.test.target.tolist(), strict=True):
        free = np.flatnonzero(~splits.known_all.has(np.array([user]), np.arange(N_ITEMS)[None])[0])
        lists.append([target, *rng.choice(free, 2, replace=False).tolist()])
    return replace(splits, test=replace(splits.test, relevant=Ragged.of(lists)))


def test_leakage_looks_at_every_relevant_item() -> None:
    splits = with_sets(0)
    found = {one.name: one.finding for one in run(splits)}["leakage"]
    assert (found.figure, found.verdict) == (0.0, "ok")
    relevant = splits.test.relevant
    assert relevant is not None
    items = relevant.items.copy()
    taken = splits.known_train.lists(splits.test.user[:6])
    items[relevant.offsets[:6] + 2] = taken.items[taken.offsets[:6]]  # the last of three of the first six rows
    spoilt = replace(splits, test=replace(splits.test, relevant=Ragged(items, relevant.offsets)))
    found = {one.name: one.finding for one in run(spoilt)}["leakage"]
    assert found.figure == 6 / (len(splits.valid) + len(splits.test))
    assert found.verdict == "fail"


def test_sets_without_order_are_not_judged_as_sequences() -> None:
    lists = [np.sort(one) for one in world.sequences(np.random.default_rng(0))]
    checks = run(splits_of(lists, history=0))
    found = {one.name: one.finding for one in checks}
    assert found["order"].verdict == "ok"
    assert "its order means nothing" in found["order"].meaning
    assert "markov" not in found["popularity"].meaning
    assert "order" in fired(run(splits_of(lists)))
