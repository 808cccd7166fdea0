"""Popular items more often, as they would be met by chance in the training data."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, FloatArray, Gift, Need, Peek, RowRandom, Rows, Scores
from polo_preference.options.samplers import PopularityOptions
from polo_preference.samplers.pool import barred_items, counts, forbidden, splits_of, stream
from polo_preference.samplers.weighted import draw_weighted, exponential_keys, log_q


class Popularity:
    """k different negatives, each drawn in proportion to ``(count + smoothing)^alpha`` among those left.

    From the row's list where the prompt shows one, else from the catalogue; never the target, the shown history or a
    known training item. With ``log_q`` (:func:`~polo_preference.samplers.weighted.log_q`) counting each of n draws
    ``1 / (n q)`` times counts every item that the row can draw once in expectation.
    """

    needs: frozenset[Need] = frozenset({"items"})
    gives: frozenset[Gift] = frozenset({"log_q"})

    def __init__(self, options: PopularityOptions, context: Context) -> None:
        self._options, self._seed, self._splits = options, context.seed, splits_of(context)
        self._weight: FloatArray = (counts(self._splits).astype(np.float64) + options.smoothing) ** options.alpha
        self.k = options.k

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        own = stream(rng, self._seed, "popularity", self._options.resample)
        barred = forbidden(rows, self._splits.known_train)
        k = self.k
        if rows.candidates is None:
            items, valid = draw_weighted(own, rows.id, self._weight, k, barred)
            never = barred_items(rows, self._splits.known_train)
            total = self._weight.sum() - np.where(never >= 0, self._weight[never], 0.0).sum(axis=1)
            number = len(self._weight) - (never >= 0).sum(axis=1)
        else:
            lists = rows.candidates
            allowed, weights = ~barred(np.arange(len(rows)), lists), self._weight[lists]
            keys = np.where(allowed, exponential_keys(own, rows.id, weights), np.inf)
            order = np.argsort(keys, axis=1, kind="stable")[:, : min(k, lists.shape[1] - 1)]
            items, valid = np.take_along_axis(lists, order, axis=1), np.take_along_axis(allowed, order, axis=1)
            total, number = np.where(allowed, weights, 0.0).sum(axis=1), allowed.sum(axis=1)
        q = log_q(self._weight[items], valid, total, number)
        return Draw(torch.from_numpy(items), torch.from_numpy(valid), torch.from_numpy(q).float())

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
