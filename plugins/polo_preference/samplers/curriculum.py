"""From easy negatives to hard ones over a stage."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, RowRandom, SamplerWrapper, Scores
from polo_preference.options.samplers import SelectOptions


class Curriculum(SamplerWrapper):
    """n negatives that stand together in the order of the policy's scores: the lowest at the start, the highest at the
    end of the stage.

    Of a row's m negatives, in ascending order of score, those from place ``round(progress (m - n))`` on. A row with at
    most n keeps all.
    """

    def __init__(self, options: SelectOptions, context: Context) -> None:
        super().__init__(context.build(options.from_))
        self._n = options.n

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        among = super().keep(scores, rng, progress)
        place = torch.where(among, scores.wide[:, 1:], torch.inf).argsort(dim=-1, stable=True).argsort(dim=-1)
        start = ((among.sum(-1, keepdim=True) - self._n).clamp(min=0) * progress).round()
        return among & (place >= start) & (place < start + self._n)
