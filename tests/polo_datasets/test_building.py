"""Split rules and windows on any sequences."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import InputError, ItemTable, Sequences, Splits
from polo_datasets.building import Divided, by_user, finish, first_occurrences, leave_last_out, sequences_of

LISTS = st.lists(st.lists(st.integers(0, 19), unique=True, min_size=1, max_size=12), min_size=1, max_size=8)


def sequences(lists: list[list[int]]) -> Sequences:
    return Sequences.of([10 + s for s in range(len(lists))], lists)


def told(rows: object) -> set[tuple[int, tuple[int, ...], int]]:
    return {(int(rows.user[i]), tuple(rows.history_of(i).tolist()), int(rows.target[i])) for i in range(len(rows))}  # type: ignore[attr-defined, arg-type]


@given(LISTS, st.integers(1, 5), st.integers(1, 4))
def test_leave_last_out_takes_the_last_two_of_each_user_who_has_enough(
    lists: list[list[int]], history: int, least: int
) -> None:
    divided = leave_last_out(sequences(lists), history, least)
    train, valid, test = set(), set(), set()
    for s, items in enumerate(lists):
        end = len(items)
        if end >= least + 2:
            end -= 2
            valid.add((10 + s, tuple(items[max(0, end - history) : end]), items[end]))
            test.add((10 + s, tuple(items[max(0, end + 1 - history) : end + 1]), items[end + 1]))
        train |= {(10 + s, tuple(items[max(0, t - history) : t]), items[t]) for t in range(least, end)}
    assert (told(divided.train), told(divided.valid), told(divided.test)) == (train, valid, test)
    known = set(zip(*(c.tolist() for c in divided.known_train), strict=True))
    held = {(user, target) for user, _, target in valid | test}
    everything = {(10 + s, item) for s, items in enumerate(lists) for item in items}
    assert known == everything - held
    assert set(zip(*(c.tolist() for c in divided.known_all), strict=True)) == everything


@given(st.lists(st.lists(st.integers(0, 19), unique=True, min_size=4, max_size=8), min_size=10, max_size=40))
def test_by_user_puts_each_user_in_one_split_eight_to_one_to_one(lists: list[list[int]]) -> None:
    divided = by_user(sequences(lists), 10, 3, seed=0)
    groups = [set(rows.user.tolist()) for rows in (divided.train, divided.valid, divided.test)]
    assert not groups[0] & groups[1]
    assert not (groups[0] | groups[1]) & groups[2]
    assert [len(g) for g in groups[1:]] == [round(len(lists) / 10)] * 2
    assert set(divided.sequences.user.tolist()) == groups[0]
    rows = (divided.train, divided.valid, divided.test)
    assert sum(len(split) for split in rows) == sum(len(items) - 3 for items in lists)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5)), min_size=1, max_size=30))
def test_only_the_first_of_each_user_and_item_stays_and_in_order(events: list[tuple[int, int]]) -> None:
    user, item = np.array(events).T
    kept = first_occurrences(user, item)
    assert [e for e, keep in zip(events, kept, strict=True) if keep] == list(dict.fromkeys(events))
    made = sequences_of(user[kept], item[kept])
    for s, who in enumerate(made.user):
        assert made[s].tolist() == [i for u, i in dict.fromkeys(events) if u == who]


def finished(divided: Divided, titles: list[str]) -> Splits:
    items = ItemTable(titles, [str(i) for i in range(len(titles))])
    return finish(divided, name="toy", form="f", items=items, licence="", notes={"none": 0}, where="here")


TITLES = [f"t{i}" for i in range(20)]
LONG = [[0, 1, 2, 3, 4, 5], [7, 6, 5, 4, 3, 2]]


def test_rows_are_numbered_over_all_splits_and_notes_of_zero_are_left_out() -> None:
    splits = finished(leave_last_out(sequences(LONG), 3, 1), TITLES)
    assert [*splits.train.id, *splits.valid.id, *splits.test.id] == list(range(10))
    assert splits.notes == {}


def test_the_fingerprint_changes_with_any_row_title_or_split() -> None:
    divided = leave_last_out(sequences(LONG), 3, 1)
    changed = [[0, 1, 2, 3, 4, 8], LONG[1]]
    variants = [
        finished(divided, TITLES),
        finished(divided, ["other", *TITLES[1:]]),
        finished(leave_last_out(sequences(changed), 3, 1), TITLES),
        finished(leave_last_out(sequences(LONG), 4, 1), TITLES),
        finished(replace(divided, valid=divided.test, test=divided.valid), TITLES),
        finished(replace(divided, known_all=divided.known_train), TITLES),
    ]
    assert len({splits.fingerprint for splits in variants}) == len(variants)
    assert finished(divided, TITLES).fingerprint == variants[0].fingerprint


def test_a_split_without_rows_is_an_error() -> None:
    with pytest.raises(InputError, match="empty data set: no training row is left"):
        finished(leave_last_out(sequences([[1, 2, 3]]), 3, 3), TITLES)
