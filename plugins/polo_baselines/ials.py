"""iALS: a matrix of zeros and ones factorised by alternating least squares over all its entries."""

from __future__ import annotations

from typing import Final

import numpy as np
from scipy import sparse

from polo import Context, FloatArray, IntArray, Rows, Sequences, Splits, seed_of
from polo_baselines.options import IalsOptions
from polo_baselines.profiles import ENTRIES, Profiles

#: users and items together up to which `all` takes it: about a minute of one core
_VECTORS: Final = 50_000


def solve(has: sparse.csr_array, other: FloatArray, options: IalsOptions) -> FloatArray:
    """The best vector of each row of ``has`` ``[m, n]`` for fixed vectors ``[n, d]`` of its columns: ``[m, d]``.

    ``w = (sum_S h h' + a H'H + l I)^-1 sum_S h`` with S the row's items, a the weight of all entries (``unobserved``)
    and ``l = regulariser (|S| + a n)^nu``; Rendle et al., RecSys 2022, arXiv 2110.14037, eqs. 3 to 5. A row without
    items gets zeros.
    """
    m, d = has.shape[0], other.shape[1]
    every, counts = options.unobserved * (other.T @ other), np.diff(has.indptr)
    padded = np.concatenate([other, np.zeros((1, d))])  # an item that is none
    ridge = options.regulariser * (counts + options.unobserved * len(other)) ** options.nu
    out = np.empty((m, d))
    order = np.argsort(counts, kind="stable")
    start = 0
    while start < m:  # rows with about as many items together
        longest = int(counts[order[min(m, start + 256) - 1]])
        rows = order[start : start + max(1, min(256, ENTRIES // max(1, d * max(longest, d))))]
        longest = int(counts[rows[-1]])
        place = np.arange(longest)[None, :]
        inside = place < counts[rows, None]
        items = np.full(inside.shape, len(other))
        items[inside] = has.indices[(has.indptr[rows, None] + place)[inside]]
        vectors = padded[items]
        normal = vectors.transpose(0, 2, 1) @ vectors + every
        normal[:, np.arange(d), np.arange(d)] += ridge[rows, None]
        out[rows] = np.linalg.solve(normal, vectors.sum(axis=1)[:, :, None])[:, :, 0]
        start += len(rows)
    return out


class Ials:
    """score(c) = ``w . h_c`` with w the best vector for the row's items; vectors h by alternating least squares.

    Minimises ``sum_(u,i) in S (w_u.h_i - 1)^2 + a sum_(u,i) (w_u.h_i)^2 + l (sum_u (|S_u| + a |I|)^nu |w_u|^2 + sum_i
    (|S_i| + a |U|)^nu |h_i|^2)`` over all entries of the training matrix; Hu et al., ICDM 2008, in the form of Rendle
    et al., arXiv 2110.14037. The vectors begin normal with deviation 0.1 / sqrt(width), by the recipe's seed. A row's
    vector is solved for when it is scored, so users who come later are no exception.
    """

    needs = frozenset({"items"})

    def __init__(self, options: IalsOptions, context: Context) -> None:
        self._options, self._seed, self._items = options, context.seed, np.empty((0, options.width))
        self._profiles = Profiles(options.looks_at, Sequences.of([], []), 0)

    def applies(self, splits: Splits) -> bool:
        return len(splits.sequences) + len(splits.items) <= _VECTORS

    def fit(self, splits: Splits) -> None:
        o, n_items = self._options, len(splits.items)
        self._profiles = Profiles(o.looks_at, splits.sequences, n_items)
        has = self._profiles.training
        taken = sparse.csr_array(has.T)
        rng = np.random.default_rng(seed_of(self._seed, "ials"))
        self._items = rng.normal(0, 0.1 / np.sqrt(o.width), (n_items, o.width))
        for _ in range(o.epochs):
            users = solve(has, self._items, o)
            self._items = solve(taken, users, o)

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        users = solve(self._profiles.of(rows), self._items, self._options)
        out = np.empty(candidates.shape)
        step = max(1, ENTRIES // max(1, candidates.shape[1] * self._options.width))
        for start in range(0, len(candidates), step):
            here = slice(start, start + step)
            out[here] = np.einsum("bd,bnd->bn", users[here], self._items[candidates[here]])
        return out
