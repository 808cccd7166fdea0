"""Windows of rows on the disk are those of the same rows in memory, and so is the order of an epoch."""

from __future__ import annotations

from pathlib import Path
from unittest.mock import patch

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import polo_backbones.sequences as sequences
from polo import LazyRows
from polo.train import order


def rows_of(lengths: list[int], least: int, window: int, folder: Path | None = None) -> LazyRows:
    """Sequences of these lengths, in which each event after the first ``least`` is the target of a row."""
    items = np.arange(sum(lengths), dtype=np.int32)
    long = np.array(lengths, np.int64)
    counts = np.maximum(long - least, 0)
    return LazyRows(
        items, np.arange(len(long)), np.cumsum(long) - long, np.full(len(long), least),
        np.append(0, np.cumsum(counts)), window=window, first_id=3, folder=folder,
    )  # fmt: skip


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(1, 6), st.integers(1, 4), st.integers(1, 5))
def test_law_windows_on_the_disk_are_those_in_memory(lengths: list[int], least: int, window: int, stride: int) -> None:
    lazy = rows_of([*lengths, least + 1], least, window)
    ours, theirs = sequences.Windows.of(lazy, stride), sequences.Windows.of(lazy.gathered(), stride)
    assert isinstance(ours, sequences.LazyWindows)
    rows = lazy[:]
    assert np.array_equal(ours.leave(rows), theirs.leave(rows))
    assert np.array_equal(ours.shared(rows), theirs.shared(rows))
    others = sequences.Rows(rows.id + len(rows), rows.user, rows.history, rows.target)
    assert ours.leave(others).tolist() == theirs.leave(others).tolist() == [0] * len(rows)


@given(st.lists(st.integers(0, 12), min_size=1, max_size=5), st.integers(1, 7), st.integers(0, 5))
def test_law_the_order_by_blocks_is_that_of_all_at_once(lengths: list[int], block: int, seed: int) -> None:
    groups = np.repeat(np.arange(len(lengths)) * 2, lengths)
    found, number = np.unique(groups, return_inverse=True)
    expected = np.argsort(np.random.default_rng(seed).permutation(len(found))[number], kind="stable")
    with patch.object(order, "BLOCK", block):
        ours = order.shuffled(groups, np.random.default_rng(seed))
        alone = order.permutation(len(groups), np.random.default_rng(seed), order.in_memory)
    assert ours.tolist() == expected.tolist()
    assert alone.tolist() == np.random.default_rng(seed).permutation(len(groups)).tolist()
