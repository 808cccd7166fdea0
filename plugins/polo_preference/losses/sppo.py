"""SPPO with hard labels: each log-ratio regressed to half the inverse beta."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs


class Sppo:
    """``L_j = (r_w - 1 / (2 beta_j))^2 + (r_j + 1 / (2 beta_j))^2``; Wu et al., arXiv 2405.00675.

    Wins and losses taken as certain, as in TRL's ``sppo_hard``.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        target = 0.5 / pair.beta
        return self._reduce((pair.chosen - target) ** 2 + (pair.rejected + target) ** 2, keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(0.5 / torch.where(keep, beta, 1.0) ** 2, keep)
