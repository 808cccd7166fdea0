"""Baselines that do not look at the history or prompt: chance, length and popularity."""

from __future__ import annotations

import numpy as np

from polo import Context, FloatArray, IntArray, RowRandom, Rows, Splits


class Random:
    """Scores drawn uniformly by (recipe seed, row id): what knowing nothing gives."""

    def __init__(self, options: None, context: Context) -> None:
        self._rng = RowRandom(context.seed, "random baseline")

    def fit(self, splits: Splits) -> None:
        """Nothing to learn."""

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        return self._rng.uniform(rows.id, candidates.shape[1])


class Length:
    """score(a) = how many characters answer a has: what preferring the longer answer gives.

    For data whose answers belong to their rows; titles of a catalogue are not preferred for their length.
    """

    def __init__(self, options: None, context: Context) -> None:
        self._length: FloatArray = np.empty(0)

    def applies(self, splits: Splits) -> bool:
        return splits.own is not None

    def fit(self, splits: Splits) -> None:
        self._length = np.array([len(title) for title in splits.items.titles], dtype=np.float64)

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        return self._length[candidates]


class Popularity:
    """score(c) = how often c occurs in the training sequences.

    Example:
        >>> import numpy as np
        >>> from types import SimpleNamespace
        >>> from polo import Sequences
        >>> popularity = Popularity(None, context=None)
        >>> popularity.fit(SimpleNamespace(sequences=Sequences.of([0, 1], [[0, 2], [2]]), items=range(4)))
        >>> popularity.score(range(1), np.array([[0, 1, 2]])).tolist()
        [[1.0, 0.0, 2.0]]
    """

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None:
        self._counts: FloatArray = np.empty(0)

    def fit(self, splits: Splits) -> None:
        self._counts = np.bincount(splits.sequences.items, minlength=len(splits.items)).astype(np.float64)

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        return self._counts[candidates]
