"""Events, filters and split rules: laws of each on any events."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, InputError, IntArray
from polo_datasets.events import TEST, TRAIN, VALID, Events, divide, in_order
from polo_datasets.filters import k_core
from polo_datasets.splitting import by_ratio, by_time, cuts

#: (user, item, time) of each event
EVENTS = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 6), st.integers(0, 9)), min_size=1, max_size=40)


def columns(told: list[tuple[int, int, int]]) -> tuple[IntArray, IntArray, np.ndarray]:
    user, item, time = np.array(told, np.int64).T
    return user, item, time.astype(np.float64)


@given(EVENTS, st.integers(1, 4))
def test_law_a_k_core_has_k_of_everything_and_no_larger_part_has(told: list[tuple[int, int, int]], k: int) -> None:
    pairs = sorted({(u, i) for u, i, _ in told})
    user, item = np.array(pairs, np.int64).T
    kept = k_core(user, item, k)
    for column in (user, item):
        assert (np.unique(column[kept], return_counts=True)[1] >= k).all()
    # the largest such part: taking out one poor user or item at a time ends at the same events
    left = set(pairs)
    while True:
        poor = [p for p in left if min(sum(q[a] == p[a] for q in left) for a in (0, 1)) < k]
        if not poor:
            break
        left.discard(min(poor))
    assert left == {p for p, there in zip(pairs, kept.tolist(), strict=True) if there}


@given(EVENTS, st.floats(0.05, 0.4), st.floats(0.05, 0.4))
def test_law_nothing_from_a_cut_on_is_in_an_earlier_part(
    told: list[tuple[int, int, int]], valid: float, test: float
) -> None:
    time = columns(told)[2]
    try:
        at = cuts(time, valid, test)
    except InputError:
        # of n events in order, the ones where a part would begin are of the same moment as those before them
        n, ordered = len(time), np.sort(time)
        first, second = (ordered[min(n - 1, round((1 - share) * n))] for share in (test + valid, test))
        assert first == second or first == ordered[0]
        return
    part = by_time(time, at)
    assert set(part.tolist()) == {TRAIN, VALID, TEST}
    assert time[part == TRAIN].max() < time[part == VALID].min()
    assert time[part == VALID].max() < time[part == TEST].min()


def test_one_moment_for_all_cannot_be_cut() -> None:
    with pytest.raises(InputError, match=r"begin at the times 5 and 5, and the first event is at 5"):
        cuts(np.full(20, 5.0), 0.1, 0.1)


@given(EVENTS, st.floats(0, 0.4), st.floats(0, 0.4), st.sampled_from(["user", "all"]), st.integers(0, 3))
def test_law_a_draw_by_ratio_does_not_depend_on_the_order_of_events(
    told: list[tuple[int, int, int]], valid: float, test: float, share_of: str, seed: int
) -> None:
    user, item = np.array(sorted({(u, i) for u, i, _ in told}), np.int64).T
    shares = {"valid_share": valid, "test_share": test, "share_of": share_of, "seed": seed}
    part = by_ratio(user, item, **shares)  # type: ignore[arg-type]
    turned = by_ratio(user[::-1], item[::-1], **shares)  # type: ignore[arg-type]
    assert part.tolist() == turned[::-1].tolist()
    groups = [np.ones(len(user), np.bool_)] if share_of == "all" else [user == u for u in np.unique(user)]
    for group in groups:
        count = np.bincount(part[group], minlength=3)
        n = int(group.sum())
        assert count[TEST] == min(np.ceil(test * n - 1e-9), n - 1)
        assert count[VALID] == min(np.ceil(valid * n - 1e-9), n - 1 - count[TEST])


@given(EVENTS, st.integers(0, 3), st.integers(0, 2), st.booleans(), st.data())
def test_law_rows_show_only_what_was_before_and_held_out_rows_hold_each_event_once(
    told: list[tuple[int, int, int]], history: int, least: int, sets: bool, data: st.DataObject
) -> None:
    events, _ = in_order(*columns(told))
    assert events.time is not None
    parts = st.lists(st.integers(0, 2), min_size=len(events), max_size=len(events))
    part = np.array(data.draw(parts), np.int64)
    divided = divide(events, part, history=history, min_history=least, sets=sets)
    when = {(u, i): (t, p) for u, i, t, p in zip(events.user, events.item, events.time, part, strict=True)}
    for number, rows in enumerate((divided.train, divided.valid, divided.test)):
        several = sets and number != TRAIN
        assert (rows.relevant is not None) == several
        answers = []
        for r, user in enumerate(rows.user.tolist()):
            items = rows.relevant[np.array([r])].items.tolist() if rows.relevant is not None else [int(rows.target[r])]
            assert items[0] == rows.target[r]
            answers += [(user, item) for item in items]
            shown = rows.history_of(r).tolist()
            assert (rows.history[r] == PAD).sum() == history - len(shown)
            for item in shown:
                assert when[user, item][1] <= number - several
                assert several or when[user, item][0] <= when[user, items[0]][0]
            before = [
                key for key, (t, p) in when.items() if key[0] == user and key not in {(user, i) for i in items}
                and (p < number if several else p <= number and t < when[user, items[0]][0])
            ]  # fmt: skip
            assert len(shown) >= min(history, len(before))
        mine = {key for key, (_, p) in when.items() if p == number}
        assert set(answers) <= mine
        assert len(answers) == len(set(answers))
        if not least:
            assert set(answers) == mine
    assert set(zip(*(column.tolist() for column in divided.known_train), strict=True)) == {
        key for key, (_, p) in when.items() if p == TRAIN
    }


def test_of_a_pair_in_two_files_the_earlier_file_has_it() -> None:
    user, item, time = np.array([3, 3, 3]), np.array([1, 1, 2]), np.array([9.0, 1.0, 5.0])
    part = np.array([TRAIN, TEST, TEST])
    events, at = in_order(user, item, time, part)
    assert (events.item.tolist(), at.tolist(), part[at].tolist()) == ([2, 1], [2, 0], [TEST, TRAIN])


def test_a_set_of_a_user_of_whom_nothing_else_is_seen_shows_nothing() -> None:
    events = Events(np.array([0, 0, 1]), np.array([4, 2, 3]), None)
    rows = divide(events, np.array([TRAIN, TEST, TEST]), history=2, min_history=0, sets=True).test
    assert rows.history.tolist() == [[PAD, 4], [PAD, PAD]]
    assert rows.relevant is not None
    assert (rows.relevant.items.tolist(), rows.target.tolist()) == ([2, 3], [2, 3])
