"""Plants items that the user likes among the negatives: how robust is a loss to false negatives?"""

from __future__ import annotations

import numpy as np
import torch

from polo import BoolArray, Context, Draw, IntArray, Peek, RowRandom, Rows, SamplerWrapper
from polo_preference.options.samplers import NoisyOptions
from polo_preference.samplers.pool import catalogue_only, splits_of


class Noisy(SamplerWrapper):
    """Each negative is replaced with probability ``rate`` by an item the user consumed in training (not the target).

    Different items for the negatives of a row; where a user has too few, the negative stays, so that the rate is
    at most what the user took over k. ``repeat`` draws them with replacement instead, as the noise study of DrRL (arXiv
    2506.15120) does. For studies only.
    """

    def __init__(self, options: NoisyOptions, context: Context) -> None:
        self._rate, self._repeat = options.rate, options.repeat
        super().__init__(context.build(options.from_), needs=frozenset({"items"}))
        self.gives = frozenset()
        splits = splits_of(context)
        self._n_items, sequences = len(splits.items), splits.sequences
        users = np.repeat(sequences.user, np.diff(sequences.offsets))
        #: user * n_items + item of all that was taken in training, ascending
        self._codes: IntArray = np.unique(users * self._n_items + sequences.items)

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        catalogue_only(rows, "`noisy`")
        drawn = self.inner.draw(rows, rng, peek)
        items, valid = drawn.items.numpy().copy(), drawn.valid.numpy()
        own = rng.child("noisy")
        hit = valid & (own.uniform(rows.id, items.shape[1]) < self._rate)
        start, end = (np.searchsorted(self._codes, (rows.user + one) * self._n_items) for one in (0, 1))
        target = np.searchsorted(self._codes, rows.user * self._n_items + rows.target)
        holds = np.isin(rows.user * self._n_items + rows.target, self._codes)
        # of each row's items all but the target: the places from its start on, with the target's stepped over
        others = end - start - holds
        if self._repeat:
            place = (own.child("which").uniform(rows.id, items.shape[1]) * others[:, None]).astype(np.int64)
        else:
            place, hit = self._different(own.child("which"), rows.id, others, hit)
        hit &= (others > 0)[:, None]
        place += start[:, None]
        place += holds[:, None] & (place >= target[:, None])
        items[hit] = self._codes[place[hit]] % self._n_items
        return Draw(torch.from_numpy(items), drawn.valid)

    @staticmethod
    def _different(rng: RowRandom, ids: IntArray, others: IntArray, hit: BoolArray) -> tuple[IntArray, BoolArray]:
        """For each hit another place below ``others [B]``: places ``[B, k]``, and which hits have one."""
        place = np.zeros(hit.shape, np.int64)
        nth = np.cumsum(hit, axis=1) - 1
        hit = hit & (nth < others[:, None])
        for i in np.flatnonzero(hit.any(axis=1)):
            order = np.argsort(rng.uniform(ids[i : i + 1], int(others[i]))[0], kind="stable")
            place[i, hit[i]] = order[: int(hit[i].sum())]
        return place, hit
