"""Plants items that the user likes among the negatives: how robust is a loss to false negatives?"""

from __future__ import annotations

import numpy as np
import torch

from polo import Context, Draw, IntArray, Peek, RowRandom, Rows, SamplerWrapper
from polo_preference.options.samplers import NoisyOptions
from polo_preference.samplers.pool import catalogue_only, splits_of


class Noisy(SamplerWrapper):
    """Each negative is replaced with probability ``rate`` by an item the user consumed in training (not the target).

    Different items for the negatives of a row; where a user has too few, the negative stays. The rate is that of the
    noise study of DrRL (arXiv 2506.15120). For studies only.
    """

    def __init__(self, options: NoisyOptions, context: Context) -> None:
        self._rate = options.rate
        super().__init__(context.build(options.from_), needs=frozenset({"items"}))
        self.gives = frozenset()
        sequences = splits_of(context).sequences
        users = np.repeat(sequences.user, np.diff(sequences.offsets))
        pairs = np.unique(np.stack([users, sequences.items], axis=1), axis=0)
        self._users, start = np.unique(pairs[:, 0], return_index=True)
        self._liked = np.split(pairs[:, 1], start[1:])

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        catalogue_only(rows, "`noisy`")
        drawn = self.inner.draw(rows, rng, peek)
        items, valid = drawn.items.numpy().copy(), drawn.valid.numpy()
        own = rng.child("noisy")
        hit = valid & (own.uniform(rows.id, items.shape[1]) < self._rate)
        for i in np.flatnonzero(hit.any(axis=1)):
            liked = self._of(int(rows.user[i]), int(rows.target[i]))
            order = np.argsort(own.child("which").uniform(rows.id[i : i + 1], len(liked))[0], kind="stable")
            at = np.flatnonzero(hit[i])[: len(liked)]
            items[i, at] = liked[order[: len(at)]]
        return Draw(torch.from_numpy(items), drawn.valid)

    def _of(self, user: int, target: int) -> IntArray:
        at = int(np.searchsorted(self._users, user))
        if at == len(self._users) or self._users[at] != user:
            return np.empty(0, dtype=np.int64)
        liked: IntArray = self._liked[at]
        others: IntArray = liked[liked != target]
        return others
