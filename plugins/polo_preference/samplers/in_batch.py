"""Other rows' targets as negatives."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, Gift, Peek, RowRandom, Rows, Scores
from polo_preference.options.samplers import InBatchOptions
from polo_preference.samplers.pool import catalogue_only, forbidden, splits_of


class InBatch:
    """k of the batch's other targets for each row, different ones, uniformly; never what the user is known to like.

    Popular items are targets more often, so they are drawn more often; ``log_q`` is the log of an item's share of the
    training rows' targets, for losses that correct for it (``sdpo_sampled``). The draw of a row depends on the rows
    that it is drawn with.
    """

    gives: frozenset[Gift] = frozenset({"log_q"})

    def __init__(self, options: InBatchOptions, context: Context) -> None:
        self._k, self._splits = options.k, splits_of(context)
        targets = np.bincount(self._splits.train.target, minlength=len(self._splits.items))
        self._log_q = np.log(np.maximum(targets, 1) / max(1, len(self._splits.train)))

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        """Items ``[B, K]`` with ``K = min(k, different targets - 1)``."""
        catalogue_only(rows, "`in_batch`")
        targets = np.broadcast_to(np.unique(rows.target), (len(rows), len(np.unique(rows.target))))
        allowed = ~forbidden(rows, self._splits.known_train)(np.arange(len(rows)), targets)
        keys = np.where(allowed, rng.child("in_batch").uniform(rows.id, targets.shape[1]), np.inf)
        order = np.argsort(keys, axis=1, kind="stable")[:, : min(self._k, targets.shape[1] - 1)]
        items, valid = np.take_along_axis(targets, order, axis=1), np.take_along_axis(allowed, order, axis=1)
        return Draw(torch.from_numpy(items), torch.from_numpy(valid), torch.from_numpy(self._log_q[items]).float())

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
