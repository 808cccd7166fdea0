"""Splits of a few sequences that a test writes down."""

from __future__ import annotations

import numpy as np

from polo import ItemTable, Known, Rows, Sequences, Splits

N = 7


def splits_of(lists: list[list[int]], n_items: int = N) -> Splits:
    sequences = Sequences.of(range(len(lists)), lists)
    none = Rows(*(np.empty(0, np.int64) for _ in range(2)), np.empty((0, 1), np.int64), np.empty(0, np.int64))
    known = Known(np.empty(0, np.int64), np.empty(0, np.int64), n_items)
    names = [str(i) for i in range(n_items)]
    return Splits(
        name="toy", form="", items=ItemTable(names, names), train=none, valid=none, test=none, sequences=sequences,
        known_train=known, known_all=known, fingerprint="",
    )  # fmt: skip
