"""Slices: every row is in exactly one part of each."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polo.evaluate.slices import bins


@given(st.lists(st.integers(0, 20), max_size=40), st.integers(1, 10))
def test_law_parts_hold_each_row_once_and_never_split_a_key(key: list[int], count: int) -> None:
    cut = bins(np.array(key, np.int64), count)
    assert len(cut) <= count
    assert sorted(i for _, rows in cut for i in rows.tolist()) == list(range(len(key)))
    ranges = [{key[i] for i in rows.tolist()} for _, rows in cut]
    assert all(max(low) < min(high) for low, high in pairwise(ranges))
