"""EASE: every item predicted by a ridge regression on all others, in closed form."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import linalg, sparse

from polo import Context, FloatArray, IntArray, PoloError, Rows, Sequences, Splits
from polo_baselines.options import EaseOptions
from polo_baselines.profiles import ENTRIES, Profiles

#: items up to which `all` takes it: time grows with their third power, ten seconds of one core at 5,000
_ITEMS: Final = 5000


def ease_table(has: sparse.csr_array, ridge: float) -> FloatArray:
    """``B = I - P diag(1 / diag P)`` with ``P = (X'X + ridge I)^-1``; Steck, WWW 2019, arXiv 1905.03375, eq. 8.

    Args:
        has: X, zeros and ones ``[users, n]``.
        ridge: lambda, above 0.

    Returns:
        float64 ``[n, n]`` with a zero diagonal; column j predicts item j. Takes twice its memory while it is made.

    Example (X'X + I = [[2, 1], [1, 2]]: P = [[2, -1], [-1, 2]] / 3, so -P_01 / P_11 = 1/2):
        >>> ease_table(sparse.csr_array(np.array([[1.0, 1.0]])), 1.0)[[0, 1], [1, 0]].round(3).tolist()
        [0.5, 0.5]
    """
    gram = (has.T @ has).toarray()
    gram[np.diag_indices_from(gram)] += ridge
    # of a symmetric matrix the transpose is itself, in the order that LAPACK overwrites in place
    factor, broken = linalg.lapack.dpotrf(gram.T, lower=0, overwrite_a=1)
    inverse, failed = linalg.lapack.dpotri(factor, lower=0, overwrite_c=1)
    if broken or failed:
        raise PoloError("the item-item matrix cannot be inverted", where="baseline ease", fix="raise `ridge`")
    upper = np.triu(inverse, 1)
    table: FloatArray = (upper + upper.T) / -np.diag(inverse)[None, :]
    return table


class Ease:
    """score(c) = sum over the row's items of ``B[h, c]``, see :func:`ease_table`."""

    needs = frozenset({"items"})

    def __init__(self, options: EaseOptions, context: Context) -> None:
        self._options, self._table = options, np.empty((0, 0))
        self._profiles = Profiles(options.looks_at, Sequences.of([], []), 0)

    def applies(self, splits: Splits) -> bool:
        return len(splits.items) <= _ITEMS

    def fit(self, splits: Splits) -> None:
        self._profiles = Profiles(self._options.looks_at, splits.sequences, len(splits.items))
        self._table = ease_table(self._profiles.training, self._options.ridge)

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        out = np.empty(candidates.shape)
        step = max(1, ENTRIES // max(1, len(self._table)))
        for start in range(0, len(candidates), step):
            here = slice(start, start + step)
            out[here] = np.take_along_axis(self._profiles.of(rows[here]) @ self._table, candidates[here], axis=1)
        return out
