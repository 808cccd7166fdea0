"""Baselines that count which items go together: item-kNN and a windowed Markov chain.

Both sum an item-to-item table over the shown history; they differ in the table, and in that item-kNN can do without an
order: rows that can show nothing (a history of width 0) are known by their users' training items.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse

from polo import Context, FloatArray, IntArray, Rows, Sequences, Splits
from polo_baselines.profiles import ENTRIES, Profiles, of_histories, of_users

#: how far apart two items of a training pair may stand
WINDOW: Final = 10


def sum_over_history(
    table: sparse.csr_array, rows: Rows, candidates: IntArray, profiles: Profiles | None = None
) -> FloatArray:
    """score(row, c) = sum over h in the shown history of ``table[h, c]``.

    Args:
        table: ``[n_items, n_items]``.
        profiles: what is summed over instead, for rows with a history of width 0.
        rows: N rows.
        candidates: int64 ``[N, n]``.

    Returns:
        float64 ``[N, n]``.
    """
    out = np.empty(candidates.shape)
    step = max(1, ENTRIES // table.shape[1])
    for start in range(0, len(candidates), step):
        here = slice(start, start + step)
        if profiles is None or rows.history.shape[1]:
            taken = of_histories(rows[here], table.shape[0])
        else:
            taken = profiles.of(rows[here])
        sums = (taken @ table).toarray()
        out[here] = np.take_along_axis(sums, candidates[here], axis=1)
    return out


def cosine_table(sequences: Sequences, n_items: int) -> sparse.csr_array:
    """cos(i, j) = |users with i and j| / sqrt(|users with i| |users with j|), and 0 for i = j."""
    _, has = of_users(sequences, n_items)
    count = np.asarray(has.sum(axis=0)).ravel()
    scale = sparse.dia_array((1 / np.sqrt(np.maximum(count, 1))[None, :], [0]), shape=(n_items, n_items))
    table = sparse.csr_array(scale @ (has.T @ has) @ scale)
    table.setdiag(0.0)
    return table


def markov_table(sequences: Sequences, n_items: int, window: int = WINDOW) -> sparse.csr_array:
    """table[h, c] = sum over training pairs (h before c in one sequence, d <= window steps apart) of 1/d."""
    items, total = sequences.items, len(sequences.items)
    owner = np.repeat(np.arange(len(sequences)), np.diff(sequences.offsets))
    table = sparse.csr_array((n_items, n_items), dtype=np.float64)
    for distance in range(1, min(window, total - 1) + 1):
        same = owner[distance:] == owner[:-distance]
        before, after = items[:-distance][same], items[distance:][same]
        weight = np.full(len(before), 1 / distance)
        table = table + sparse.coo_array((weight, (before, after)), shape=(n_items, n_items)).tocsr()
    return table


class ItemKNN:
    """score(c) = sum over the shown history of cos(h, c), all neighbours counted."""

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None:
        self._table = sparse.csr_array((0, 0))
        self._profiles: Profiles | None = None

    def fit(self, splits: Splits) -> None:
        self._table = cosine_table(splits.sequences, len(splits.items))
        self._profiles = Profiles("history", splits.sequences, len(splits.items))

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        return sum_over_history(self._table, rows, candidates, self._profiles)


class Markov:
    """score(c) = sum over the shown history of count[h -> c]; a training pair d <= 10 steps apart adds 1/d."""

    needs = frozenset({"items", "history"})

    def __init__(self, options: None, context: Context) -> None:
        self._table = sparse.csr_array((0, 0))

    def fit(self, splits: Splits) -> None:
        self._table = markov_table(splits.sequences, len(splits.items))

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        return sum_over_history(self._table, rows, candidates)
