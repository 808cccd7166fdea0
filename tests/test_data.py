"""Columns, sequences and known items."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, Known, Ragged, Rows, Sequences
from polo.testing import small_splits

PAIRS = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 8)), max_size=40)


def rows_of(count: int) -> Rows:
    n = np.arange(count)
    return Rows(n, n + 100, np.stack([np.full(count, PAD), n], axis=1), n + 1, np.stack([n, n + 1], axis=1))


@given(PAIRS)
def test_known_has_exactly_the_pairs_it_was_given(pairs: list[tuple[int, int]]) -> None:
    user, item = np.array(pairs, np.int64).reshape(-1, 2).T
    known = Known(user, item, n_items=9)
    users = np.arange(8)
    table = known.has(users, np.broadcast_to(np.arange(9), (8, 9)))
    assert {(int(u), int(i)) for u, i in zip(*np.nonzero(table), strict=True)} == set(pairs)
    assert known.count(users).tolist() == table.sum(axis=1).tolist()


@given(st.lists(st.lists(st.integers(0, 50), max_size=7), max_size=8))
def test_sequences_give_back_what_they_were_made_of(lists: list[list[int]]) -> None:
    sequences = Sequences.of(range(len(lists)), lists)
    assert len(sequences) == len(lists)
    assert [sequences[s].tolist() for s in range(len(sequences))] == lists


def test_rows_are_taken_by_index_in_every_column() -> None:
    rows = rows_of(5)
    part = rows[np.array([3, 1])]
    assert (part.id.tolist(), part.user.tolist(), part.target.tolist()) == ([3, 1], [103, 101], [4, 2])
    assert part.candidates is not None
    assert part.candidates.tolist() == [[3, 4], [1, 2]]
    assert len(rows[1:3]) == 2


def test_history_is_shown_without_padding() -> None:
    assert rows_of(3).history_of(2).tolist() == [2]


def test_rows_without_lists_stay_without_lists() -> None:
    assert rows_of(3).with_candidates(None)[np.array([0])].candidates is None


@given(st.lists(st.lists(st.integers(0, 50), max_size=5), max_size=8), st.data())
def test_law_lists_of_unlike_lengths_are_indexed_as_a_python_list_is(
    lists: list[list[int]], data: st.DataObject
) -> None:
    ragged = Ragged.of(lists)
    index = data.draw(st.lists(st.integers(0, len(lists) - 1), max_size=9)) if lists else []
    chosen = ragged[np.array(index, np.int64)]
    found = [chosen.items[a:b].tolist() for a, b in zip(chosen.offsets, chosen.offsets[1:], strict=False)]
    assert found == [lists[i] for i in index]
    assert chosen.lengths.tolist() == [len(lists[i]) for i in index]
    assert ragged[1:].lengths.tolist() == [len(one) for one in lists[1:]]


def test_the_right_items_of_a_row_go_with_it() -> None:
    rows = replace(rows_of(3), relevant=Ragged.of([[1, 7], [2], [3, 8, 9]]))
    kept = rows[np.array([2])].relevant
    assert kept is not None
    assert kept.items.tolist() == [3, 8, 9]


def test_a_table_of_users_has_a_place_for_the_users_of_every_split() -> None:
    splits = small_splits(users=9)
    assert splits.n_users == 9
    assert replace(splits, train=splits.train[splits.train.user < 3]).n_users == 9, "a user may be in the test alone"
    none = splits.test[:0]
    assert replace(splits, train=none, valid=none, test=none).n_users == 0
