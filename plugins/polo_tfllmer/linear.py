"""Sums of products of vectors, and the directions that come of them. Float64 whatever comes in; block by block.

Nothing here is larger than the vectors themselves, but for matrices ``[d, d]``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from scipy import sparse
from scipy.linalg import eigh

from polo import FloatArray, InputError, Vectors

#: numbers of a block that is copied to float64
_BLOCK = 1 << 24


def blocks(count: int, width: int) -> Iterator[slice]:
    """Slices of ``count`` lines of ``width`` numbers each."""
    step = max(1, _BLOCK // max(1, width))
    return (slice(start, min(start + step, count)) for start in range(0, count, step))


def mean_of(x: Vectors) -> FloatArray:
    """float64 ``[d]``, the mean of the rows."""
    mean: FloatArray = x.mean(axis=0, dtype=np.float64)
    return mean


def scatter(x: Vectors, mean: FloatArray) -> FloatArray:
    """``C = (X - 1 m^T)^T (X - 1 m^T)``, float64 ``[d, d]``.

    Example:
        >>> scatter(np.array([[1.0, 0.0], [3.0, 0.0]]), np.array([2.0, 0.0])).tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    total = np.zeros((x.shape[1], x.shape[1]))
    for part in blocks(*x.shape):
        centred = x[part] - mean
        total += centred.T @ centred
    return total


def through(x: Vectors, mean: FloatArray, matrix: sparse.csr_array) -> FloatArray:
    """``T = (X - 1 m^T)^T M (X - 1 m^T)`` of a symmetric sparse ``M [n, n]``, float64 ``[d, d]``, symmetric.

    A block of rows of M at a time, so that beside X no second matrix of its size is held in float64.

    Example (rows 1 and 3, D - A of an edge between them: their squared distance):
        >>> through(np.array([[1.0], [3.0]]), np.zeros(1), sparse.csr_array([[1.0, -1.0], [-1.0, 1.0]])).tolist()
        [[4.0]]
    """
    total = np.zeros((x.shape[1], x.shape[1]))
    for part in blocks(*x.shape):
        rows = matrix[part]
        near = np.unique(rows.indices)  # the items that these rows have to do with
        shape = (len(rows.indptr) - 1, len(near))
        some = sparse.csr_array((rows.data, np.searchsorted(near, rows.indices), rows.indptr), shape)
        total += (x[part] - mean).T @ _product(some, x, mean, near)
    return (total + total.T) / 2


def _product(some: sparse.csr_array, x: Vectors, mean: FloatArray, near: Any) -> FloatArray:
    """``some @ (x[near] - mean)``, a block of columns at a time."""
    out = np.empty((some.shape[0], x.shape[1]))
    for columns in blocks(x.shape[1], len(near)):
        out[:, columns] = some @ (x[near, columns] - mean[columns])
    return out


def directions(matrix: FloatArray, k: int, beside: FloatArray | None = None) -> tuple[FloatArray, FloatArray]:
    """The k largest eigenvalues of a symmetric matrix, largest first, and their vectors as columns ``[d, k]``.

    Args:
        matrix: ``[d, d]``.
        k: how many.
        beside: B of ``matrix w = value B w``, positive definite; the unit matrix if not given.

    Raises:
        InputError: k is more than d.
    """
    d = len(matrix)
    if k > d:
        raise InputError(f"k is {k}, and the vectors have {d} numbers", where="encoder", fix=f"lower k to {d} or less")
    values, vectors = eigh(matrix, beside, subset_by_index=(d - k, d - 1))
    return values[::-1], vectors[:, ::-1]


def project(x: Vectors, mean: FloatArray, w: FloatArray) -> FloatArray:
    """``(X - 1 m^T) W``, float64 ``[n, k]``; the sign of each column makes its largest entry positive."""
    out = np.empty((len(x), w.shape[1]))
    for part in blocks(*x.shape):
        out[part] = (x[part] - mean) @ w
    return same_signs(out)


def same_signs(z: FloatArray) -> FloatArray:
    """Columns turned so that the entry that is largest without its sign is positive.

    Example:
        >>> same_signs(np.array([[1.0, 2.0], [-3.0, 1.0]])).tolist()
        [[-1.0, 2.0], [3.0, 1.0]]
    """
    if not len(z):
        return z
    largest = z[np.abs(z).argmax(axis=0), np.arange(z.shape[1])]
    return z * np.where(largest < 0, -1.0, 1.0)
