"""How item vectors lie: how unlike their lengths are, and whether near items are those that people take together.

Block by block, never ``[n, n]``. Knows vectors and training sequences; knows no model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch
from scipy import sparse

from polo.best import best_columns
from polo.data import PAD, FloatArray, IntArray, Sequences

#: neighbours of an item that are compared
NEAREST: Final = 10
#: products that are held at a time
_BLOCK: Final = 1 << 22


@dataclass(frozen=True)
class Geometry:
    """What is seen of item vectors.

    Args:
        lengths: quantiles 0.00, 0.01, ..., 1.00 of the vectors' lengths.
        crowding: mean cosine between an item and its nearest others: 1 where all lie in tight bundles.
        agreement: share of the items nearest by angle that are among those nearest by who took them.
    """

    lengths: FloatArray
    crowding: float
    agreement: float

    @property
    def disparity(self) -> float:
        """The 99th percentile of the lengths by the first; infinite where the first is 0."""
        return float(self.lengths[99] / self.lengths[1]) if self.lengths[1] > 0 else float("inf")


def look(vectors: FloatArray, sequences: Sequences, k: int = NEAREST) -> Geometry:
    """Lengths, crowding and agreement of item vectors ``[n, d]``.

    Items without a length, and items that were taken with no other, play no part in crowding and agreement.

    Example (0 and 1 point alike and were taken together):
        >>> seen = look(np.array([[1.0, 0.0], [4.0, 0.0], [0.0, 2.0]]), Sequences.of([0], [[0, 1]]), k=1)
        >>> seen.lengths[[0, 50, 100]].tolist(), seen.agreement
        ([1.0, 2.0, 4.0], 1.0)
    """
    length = np.linalg.norm(vectors, axis=1)
    quantiles: FloatArray = np.quantile(length, np.linspace(0, 1, 101))
    taken = taken_together(sequences, len(vectors), k)
    near, cosine = nearest(vectors / np.where(length > 0, length, 1.0)[:, None], length > 0, k)
    some = (taken != PAD).any(axis=1) & (near != PAD).any(axis=1)
    hits = [(near[part, :, None] == taken[part, None, :]) & (near[part, :, None] != PAD)
            for part in _parts(len(vectors), k * k)]  # fmt: skip
    shared = np.concatenate([hit.any(axis=2).sum(axis=1) for hit in hits]) if hits else np.zeros(0)
    possible = np.minimum((taken != PAD).sum(axis=1), (near != PAD).sum(axis=1))
    agreement = float((shared[some] / possible[some]).mean()) if some.any() else 0.0
    there = near != PAD
    return Geometry(quantiles, float(cosine[there].mean()) if there.any() else 0.0, agreement)


def nearest(directions: FloatArray, there: np.ndarray, k: int) -> tuple[IntArray, FloatArray]:
    """The k items of largest cosine for each item, itself and those without a length apart: ``[n, k]``, and cosines.

    ``PAD`` where there is none.
    """
    n = len(directions)
    near, cosine = np.full((n, k), PAD, np.int64), np.zeros((n, k))
    for part in _parts(n, n):
        found = directions[part] @ directions.T
        found[:, ~there] = -np.inf
        found[np.arange(len(found)), np.arange(n)[part]] = -np.inf
        found[~there[part]] = -np.inf
        _best(found, k, near[part], cosine[part])
    return near, cosine


def taken_together(sequences: Sequences, n_items: int, k: int) -> IntArray:
    """The k items that an item shares most of its takers with: cosine of their columns of users. ``PAD``: no more.

    Item-based neighbours as in Sarwar et al., WWW 2001; a sequence counts once, in no order.
    """
    lengths = np.diff(sequences.offsets)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    holds = sparse.csr_array((np.ones(len(owner)), (sequences.items, owner)), (n_items, len(lengths)))
    holds.data[:] = 1.0
    size = np.sqrt(np.maximum(np.asarray(holds.sum(axis=1)).ravel(), 1.0))
    unit = (sparse.diags_array(1 / size) @ holds).tocsr()
    near = np.full((n_items, k), PAD, np.int64)
    for part in _parts(n_items, n_items):
        found = (unit[part] @ unit.T).toarray()
        found[np.arange(len(found)), np.arange(n_items)[part]] = 0.0
        found[found <= 0] = -np.inf
        _best(found, k, near[part], np.zeros((len(found), k)))
    return near


def _best(found: FloatArray, k: int, near: IntArray, value: FloatArray) -> None:
    """Writes the columns of the k largest finite entries of each line, and the entries."""
    columns, best = (part.numpy() for part in best_columns(torch.from_numpy(found), k))
    there = np.isfinite(best)
    near[:, : best.shape[1]] = np.where(there, columns, PAD)
    value[:, : best.shape[1]] = np.where(there, best, 0.0)


def _parts(total: int, width: int) -> Iterator[slice]:
    step = max(1, _BLOCK // max(1, width))
    return (slice(start, min(start + step, total)) for start in range(0, total, step))
