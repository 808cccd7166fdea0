"""APO-down: both titles down, the rejected one faster."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, sigmoid

from polo import Context, Need, Scores
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs


class ApoDown:
    """``L_j = sigmoid(beta_j r_w) + 1 - sigmoid(beta_j (r_w - r_j))``; D'Oosterlinck et al., eq. 8, arXiv 2408.06266.

    For chosen titles that are worse than what the policy would say. The chosen title's gradient is positive where
    the first term wins: likelihood of the chosen title may go down by design.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        return self._reduce(sigmoid(pair.beta * pair.chosen) + sigmoid(-pair.beta * pair.margin), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.ones_like(beta), keep)
