"""Popular items more often, as they would be met by chance in the training data."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, FloatArray, Gift, Peek, RowRandom, Rows, Scores
from polo_preference.options.samplers import PopularityOptions
from polo_preference.samplers.pool import counts, forbidden, splits_of, stream
from polo_preference.samplers.weighted import draw_weighted, exponential_keys


class Popularity:
    """k different negatives, each drawn in proportion to ``(count + smoothing)^alpha`` among those left.

    From the row's list where the prompt shows one, else from the catalogue; never the target, the shown history or a
    known training item. ``log_q`` is the log of an item's share of the total weight (of the catalogue, or of the
    list's allowed items): the probability of the first draw, before anything is excluded from the catalogue.
    """

    gives: frozenset[Gift] = frozenset({"log_q"})

    def __init__(self, options: PopularityOptions, context: Context) -> None:
        self._options, self._seed, self._splits = options, context.seed, splits_of(context)
        self._weight: FloatArray = (counts(self._splits).astype(np.float64) + options.smoothing) ** options.alpha

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        own = stream(rng, self._seed, "popularity", self._options.resample)
        barred = forbidden(rows, self._splits.known_train)
        k = self._options.k
        if rows.candidates is None:
            items, valid = draw_weighted(own, rows.id, self._weight, k, barred)
            total = np.asarray(self._weight.sum())[None, None]
        else:
            lists = rows.candidates
            allowed, weight = ~barred(np.arange(len(rows)), lists), self._weight[lists]
            keys = np.where(allowed, exponential_keys(own, rows.id, weight), np.inf)
            order = np.argsort(keys, axis=1, kind="stable")[:, : min(k, lists.shape[1] - 1)]
            items, valid = np.take_along_axis(lists, order, axis=1), np.take_along_axis(allowed, order, axis=1)
            # a row without an allowed item draws nothing; 1 only keeps its logarithm finite
            total = np.where(allowed, weight, 0.0).sum(axis=1, keepdims=True)
            total = np.where(total > 0, total, 1.0)
        log_q = np.log(self._weight[items] / total)
        return Draw(torch.from_numpy(items), torch.from_numpy(valid), torch.from_numpy(log_q).float())

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
