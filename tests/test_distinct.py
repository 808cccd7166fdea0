"""Draws of different items: what may be in them, what they depend on, and that each is equally likely."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare

from polo import RowRandom
from polo.distinct import draw_distinct


@given(st.integers(1, 40), st.integers(0, 12), st.integers(0, 9), st.data())
def test_a_draw_is_of_different_allowed_items_and_as_many_as_there_are(
    n_items: int, k: int, count: int, data: st.DataObject
) -> None:
    flags = data.draw(st.lists(st.booleans(), min_size=n_items * count, max_size=n_items * count))
    ban = np.array(flags, dtype=bool).reshape(count, n_items)
    rows = np.arange(count) * 7
    items, valid = draw_distinct(RowRandom(1), rows, n_items, k, lambda at, items: ban[at[:, None], items])
    assert items.shape == valid.shape == (count, k)
    for row in range(count):
        drawn = items[row, valid[row]].tolist()
        allowed = set(np.flatnonzero(~ban[row]).tolist())
        assert len(drawn) == min(k, len(allowed))
        assert len(set(drawn)) == len(drawn)
        assert set(drawn) <= allowed
        assert valid[row].tolist() == sorted(valid[row].tolist(), reverse=True)


@given(st.permutations(range(12)), st.integers(1, 12), st.integers(1, 25))
def test_a_draw_depends_on_its_row_alone(order: list[int], size: int, k: int) -> None:
    rows = np.arange(12) * 31 + 5
    ban = np.random.default_rng(0).random((12, 30)) < np.linspace(0, 0.9, 12)[:, None]
    whole, whole_valid = draw_distinct(RowRandom(2), rows, 30, k, lambda at, items: ban[at[:, None], items])
    some = np.array(order[:size])
    part, part_valid = draw_distinct(RowRandom(2), rows[some], 30, k, lambda at, items: ban[some[at][:, None], items])
    assert (part == whole[some]).all()
    assert (part_valid == whole_valid[some]).all()


@given(st.integers(20, 60), st.integers(1, 12), st.integers(0, 9))
def test_law_a_draw_is_the_first_of_a_rows_own_stream_that_are_new_and_allowed(n_items: int, k: int, seed: int) -> None:
    """Read one by one from the two rounds' streams of 2 k + 8 numbers, as the law is stated."""
    rng, rows = RowRandom(seed, "law"), np.arange(15) * 13
    ban = np.random.default_rng(seed).random((15, n_items)) < 0.3
    items, valid = draw_distinct(rng, rows, n_items, k, lambda at, items: ban[at[:, None], items])
    told = 0
    for row in range(15):
        stream = [rng.child("round", turn).uniform(rows[row : row + 1], 2 * k + 8)[0] for turn in range(2)]
        read = dict.fromkeys(int(u * n_items) for u in np.concatenate(stream))
        first = [item for item in read if not ban[row, item]][:k]
        assert items[row, : len(first)].tolist() == first
        told += len(first) == k
    assert told  # else everything was put in order, and nothing was read
    assert valid[:, 0].all()


@pytest.mark.parametrize(
    ("n_items", "allowed", "k"),
    [(5, [0, 1, 3, 4], 2), (4, [0, 1, 2, 3], 4), (400, [7, 90, 200, 399], 2)],
    ids=["rejection", "all of them", "few allowed, so the catalogue is put in order"],
)
def test_every_ordered_choice_is_equally_likely(n_items: int, allowed: list[int], k: int) -> None:
    ban = np.ones(n_items, bool)
    ban[allowed] = False
    items, valid = draw_distinct(RowRandom(3), np.arange(24_000), n_items, k, lambda at, items: ban[items])
    assert valid.all()
    cells = dict.fromkeys(permutations(allowed, k), 0)
    for cell, count in zip(*np.unique(items, axis=0, return_counts=True), strict=True):
        cells[tuple(cell.tolist())] = int(count)
    assert chisquare(list(cells.values())).pvalue > 1e-3


def test_nothing_is_drawn_from_nothing() -> None:
    items, valid = draw_distinct(RowRandom(0), np.empty(0, np.int64), 5, 3, lambda at, items: items < 0)
    assert items.shape == valid.shape == (0, 3)
