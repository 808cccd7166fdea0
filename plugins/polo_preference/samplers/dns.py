"""Dynamic negative sampling: look at a pool with the policy first, train on its best few."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, InputError, Peek, RowRandom, Rows, SamplerWrapper, Scores
from polo_preference.options.samplers import DnsOptions
from polo_preference.samplers.hard import top


class Dns(SamplerWrapper):
    """DNS(M, N): k negatives drawn uniformly from the M that the policy scores highest in a pool of N.

    N is what ``from`` draws. M = k = 1 is classic DNS (Zhang et al., SIGIR 2013); M and N set how hard the negatives
    are (Shi et al., arXiv 2302.03472). The pool is scored without gradient, so only k are scored with it. With
    the whole catalogue as its pool it is the sampler ``top``, which scores no pool.
    """

    def __init__(self, options: DnsOptions, context: Context) -> None:
        if options.k > options.m:
            raise InputError(
                f"{options.k} negatives cannot be chosen from the {options.m} best",
                where="sampler.m",
                fix=f"set m to {options.k} or more",
            )
        super().__init__(context.build(options.from_))
        self.k, self._m, self._device = options.k, options.m, context.device

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        pool = self.inner.draw(rows, rng, peek)
        scores = peek(rows, pool.items.to(self._device)).detach().double().cpu()
        among = top(scores, pool.valid, self._m)
        chance = torch.from_numpy(rng.child("dns").uniform(rows.id, pool.items.shape[1]))
        order = torch.where(among, chance, torch.inf).argsort(dim=-1, stable=True)[:, : self.k]
        return Draw(pool.items.gather(1, order), among.gather(1, order))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
