"""Hinge loss on the margin (SLiC)."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu

from polo import Context, Need, Scores
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs


class Hinge:
    """``L_j = max(0, 1 - beta_j (r_w - r_j))``; SLiC-HF, Zhao et al., arXiv 2305.10425,
    on log-ratios as in RSO and TRL.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        return self._reduce(relu(1 - pair.beta * pair.margin), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.ones_like(beta), keep)
