"""Other rows' targets as negatives."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, FloatArray, Gift, IntArray, Need, Peek, RowRandom, Rows, Scores
from polo_preference.options.samplers import InBatchOptions
from polo_preference.samplers.pool import catalogue_only, forbidden, splits_of


class InBatch:
    """k of the batch's other targets for each row, different ones, uniformly; never what the user is known to like.

    Popular items are targets more often, so they are drawn more often, though less than in proportion. Item j is among
    the B - 1 other targets with probability ``pi_j`` (:func:`presence`) and then drawn uniformly from the row's M
    allowed ones, so ``log_q = log(pi_j / M)``: counting each of the n draws ``1 / (n q_j)`` times counts every item
    that a batch can hold once in expectation (Horvitz & Thompson 1952). The draw depends on the rows of the batch.
    """

    needs: frozenset[Need] = frozenset({"items"})
    gives: frozenset[Gift] = frozenset({"log_q"})

    def __init__(self, options: InBatchOptions, context: Context) -> None:
        self.k, self._splits = options.k, splits_of(context)
        self._count = self._splits.train.target_counts(len(self._splits.items))

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        """Items ``[B, K]`` with ``K = min(k, different targets - 1)``."""
        catalogue_only(rows, "`in_batch`")
        different = np.unique(rows.target)
        targets = np.broadcast_to(different, (len(rows), len(different)))
        allowed = ~forbidden(rows, self._splits.known_train)(np.arange(len(rows)), targets)
        keys = np.where(allowed, rng.child("in_batch").uniform(rows.id, targets.shape[1]), np.inf)
        order = np.argsort(keys, axis=1, kind="stable")[:, : min(self.k, targets.shape[1] - 1)]
        items, valid = np.take_along_axis(targets, order, axis=1), np.take_along_axis(allowed, order, axis=1)
        present = presence(self._count[different], len(self._splits.train), len(rows))
        log_q = np.log(np.maximum(present, np.finfo(float).tiny))[order] - np.log(
            np.maximum(allowed.sum(axis=1, keepdims=True), 1)
        )
        return Draw(torch.from_numpy(items), torch.from_numpy(valid), torch.from_numpy(log_q).float())

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected


def presence(count: IntArray, total: int, batch: int) -> FloatArray:
    """Probability that an item with ``count`` of ``total`` training rows is the target of one of ``batch - 1`` others.

    The others are drawn without replacement from the ``total - 1`` rows that are not the row's own (which has another
    target): ``1 - prod_{t < batch - 1} (1 - count / (total - 1 - t))``. An item without training rows counts as one.

    Example (one row of 4, one other of the 3 left; then all of them):
        >>> [round(float(presence(np.array([1]), 4, b)[0]), 4) for b in (2, 4)]
        [0.3333, 1.0]
    """
    left = total - 1 - np.arange(min(batch, total) - 1, dtype=np.float64)
    absent = 1 - np.minimum(np.maximum(count, 1)[:, None] / left, 1.0)
    with np.errstate(divide="ignore"):  # log 0: certainly present
        return np.asarray(-np.expm1(np.log(absent).sum(axis=1)), dtype=np.float64)
