"""APO-zero: chosen titles up, rejected ones down."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, sigmoid

from polo import Context, Need, Scores
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs


class ApoZero:
    """``L_j = 1 - sigmoid(beta_j r_w) + sigmoid(beta_j r_j)``; D'Oosterlinck et al., eq. 7, arXiv 2408.06266.

    Each side is anchored to the reference; for chosen titles that are better than what the policy would say.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        return self._reduce(sigmoid(-pair.beta * pair.chosen) + sigmoid(pair.beta * pair.rejected), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.ones_like(beta), keep)
