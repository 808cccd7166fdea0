"""Splits of a few sequences that a test writes down."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from polo import PAD, ItemTable, Known, Rows, Sequences, Splits

N = 7
#: sequences of different items, as data sources give them
SEQUENCES = st.lists(st.lists(st.integers(0, N - 1), unique=True, max_size=N), min_size=1, max_size=6)


def splits_of(lists: list[list[int]], n_items: int = N) -> Splits:
    sequences = Sequences.of(range(len(lists)), lists)
    none = Rows(*(np.empty(0, np.int64) for _ in range(2)), np.empty((0, 1), np.int64), np.empty(0, np.int64))
    known = Known(np.empty(0, np.int64), np.empty(0, np.int64), n_items)
    names = [str(i) for i in range(n_items)]
    return Splits(
        name="toy", form="", items=ItemTable(names, names), train=none, valid=none, test=none, sequences=sequences,
        known_train=known, known_all=known, fingerprint="",
    )  # fmt: skip


def rows_of(histories: list[list[int]]) -> Rows:
    width = max(1, *(len(h) for h in histories))
    padded = [[PAD] * (width - len(h)) + h for h in histories]
    n = np.arange(len(histories))
    return Rows(n, n, np.array(padded, np.int64), np.zeros(len(n), np.int64))
