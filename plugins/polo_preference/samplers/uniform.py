"""Uniform negatives, from the row's own list or from the whole catalogue."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import PAD, BoolArray, Context, Draw, IntArray, Need, Peek, PoloError, RowRandom, Rows, Scores, draw_distinct
from polo_preference.options.samplers import UniformOptions
from polo_preference.samplers.pool import catalogue_only, forbidden, splits_of, stream


class Uniform:
    """k different negatives, uniformly, without replacement; never the target, the shown history, or an item the user
    is known to have consumed in training.

    A row that has fewer than k to draw gets all of them; the rest of its columns is not valid.
    """

    def __init__(self, options: UniformOptions, context: Context) -> None:
        self._options, self._seed = options, context.seed
        self._splits, self.k = splits_of(context), options.k
        self.needs: frozenset[Need] = frozenset({"items"} if options.pool == "catalogue" else ())

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        """Items int64 ``[B, k]`` (fewer columns where lists are shorter).

        Raises:
            PoloError: ``pool: candidates`` and rows without lists, or ``pool: catalogue`` and prompts that show lists.
        """
        own = stream(rng, self._seed, "uniform", self._options.resample)
        if self._options.pool == "candidates" and rows.candidates is None:
            raise PoloError(
                "there are no candidate lists to draw from",
                where="sampler.pool",
                fix="set policy.prompt.candidates: shown, or sampler.pool: catalogue",
            )
        if self._options.pool == "catalogue":
            catalogue_only(rows, "`uniform` with `pool: catalogue`")
        barred = forbidden(rows, self._splits.known_train)
        if rows.candidates is not None:
            at = np.arange(len(rows))
            allowed = ~barred(at, rows.candidates) & (rows.candidates != PAD)
            items, valid = from_lists(own, rows.id, rows.listed, allowed, self.k)
        else:
            items, valid = draw_distinct(own, rows.id, len(self._splits.items), self.k, barred)
        return Draw(torch.from_numpy(items), torch.from_numpy(valid))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected


def from_lists(
    rng: RowRandom, ids: IntArray, lists: IntArray, allowed: BoolArray, k: int
) -> tuple[IntArray, BoolArray]:
    """The first k allowed items of each list ``[B, n]`` in random order: items and valid ``[B, min(k, n - 1)]``."""
    keys = np.where(allowed, rng.uniform(ids, lists.shape[1]), np.inf)
    order = np.argsort(keys, axis=1, kind="stable")[:, : min(k, lists.shape[1] - 1)]
    return np.take_along_axis(lists, order, axis=1), np.take_along_axis(allowed, order, axis=1)
