"""The hardest negatives there are: from the policy's best items of the whole catalogue."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import PAD, Context, Draw, InputError, Need, Peek, PeekTop, PoloError, Ragged, RowRandom, Rows, Scores
from polo_preference.options.samplers import TopOptions
from polo_preference.samplers.pool import catalogue_only, forbidden, splits_of


class Top:
    """k negatives drawn uniformly from the m items of the catalogue that the policy scores highest.

    DNS(m, N) with the whole catalogue as its pool (Shi et al., arXiv 2302.03472), whose m best the policy finds without
    scoring it; m = k is what ``hard`` would keep of every item. The target, the shown history and what is known from
    training are left out before the m are counted.
    """

    needs: frozenset[Need] = frozenset({"top_items", "items"})

    def __init__(self, options: TopOptions, context: Context) -> None:
        if options.k > options.m:
            raise InputError(
                f"{options.k} negatives cannot be chosen from the {options.m} best",
                where="sampler.m",
                fix=f"set m to {options.k} or more",
            )
        self._options, self._splits, self.k = options, splits_of(context), options.k

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        catalogue_only(rows, "`top`")
        if not isinstance(peek, PeekTop):
            raise PoloError("this policy does not find its best items", where="sampler: top", fix="use a text policy")
        barred = forbidden(rows, self._splits.known_train)
        everything = np.arange(len(self._splits.items))[None]
        lists = [np.flatnonzero(barred(np.array([i]), everything)[0]) for i in range(len(rows))]
        best = peek.top_items(rows, self._options.m, without=Ragged.of([one.tolist() for one in lists])).items
        there = best != PAD
        chance = np.where(there, rng.child("top").uniform(rows.id, best.shape[1]), np.inf)
        order = np.argsort(chance, axis=1, kind="stable")[:, : self.k]
        items, valid = np.take_along_axis(best, order, axis=1), np.take_along_axis(there, order, axis=1)
        return Draw(torch.from_numpy(np.where(valid, items, 0)), torch.from_numpy(valid))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
