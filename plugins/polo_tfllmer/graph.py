"""The graph of items that are taken together, from training sequences. Knows counts; knows no vectors."""

from __future__ import annotations

from typing import Literal

import numpy as np
from scipy import sparse

from polo import IntArray, Sequences


def together(sequences: Sequences, n_items: int, window: int | None) -> sparse.csr_array:
    """``A [n, n]``, symmetric, no diagonal: how often two items are taken together.

    Args:
        sequences: training sequences; nothing else may enter.
        n_items: size of the catalogue.
        window: pairs of places of a sequence at most this far apart count, each; ``None``: sequences that hold both.

    Example (0-1-2: with a window of 1, 0 and 2 are not joined):
        >>> sequences = Sequences.of([0], [[0, 1, 2]])
        >>> together(sequences, 3, 1).toarray().tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
        >>> together(sequences, 3, None).toarray().tolist()
        [[0.0, 1.0, 1.0], [1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]
    """
    lengths = np.diff(sequences.offsets)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    if window is None:
        holds = sparse.csr_array((np.ones(len(owner)), (owner, sequences.items)), (len(lengths), n_items))
        holds.data[:] = 1.0  # an item that is there twice is there
        return _without_diagonal((holds.T @ holds).tocsr())
    total = sparse.csr_array((n_items, n_items))
    for apart in range(1, min(window, int(lengths.max(initial=1)) - 1) + 1):
        same = owner[apart:] == owner[:-apart]
        total = total + _pairs(sequences.items[:-apart][same], sequences.items[apart:][same], n_items)
    return _without_diagonal(total)


def _pairs(a: IntArray, b: IntArray, n: int) -> sparse.csr_array:
    one = sparse.csr_array((np.ones(len(a)), (a, b)), (n, n))
    return one + one.T


def _without_diagonal(matrix: sparse.csr_array) -> sparse.csr_array:
    coo = matrix.tocoo()
    off = coo.row != coo.col
    made = sparse.csr_array((coo.data[off], (coo.row[off], coo.col[off])), matrix.shape)
    made.sort_indices()
    return made


def laplacian(a: sparse.csr_array, kind: Literal["combinatorial", "normalised"]) -> sparse.csr_array:
    """``D - A``, or ``I - D^-1/2 A D^-1/2``; an item without an edge has a row of zeros in both.

    Example (an edge of weight 2 and an item alone):
        >>> a = sparse.csr_array([[0.0, 2.0, 0.0], [2.0, 0.0, 0.0], [0.0, 0.0, 0.0]])
        >>> laplacian(a, "combinatorial").toarray().tolist()
        [[2.0, -2.0, 0.0], [-2.0, 2.0, 0.0], [0.0, 0.0, 0.0]]
        >>> laplacian(a, "normalised").toarray().round(12).tolist()
        [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    degree = np.asarray(a.sum(axis=1)).ravel()
    if kind == "combinatorial":
        return (sparse.diags_array(degree) - a).tocsr()
    there = degree > 0
    root = sparse.diags_array(np.where(there, 1 / np.sqrt(np.where(there, degree, 1.0)), 0.0))
    return (sparse.diags_array(there.astype(float)) - root @ a @ root).tocsr()
