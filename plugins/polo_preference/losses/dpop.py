"""DPO-Positive: DPO that keeps the chosen title likely."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu

from polo import Context, Need, Scores
from polo_preference.options.losses import DpopOptions
from polo_preference.tensors import REDUCE, pairs, softplus


class Dpop:
    """``L_j = -log sigmoid(beta_j (r_w - r_j - lambda max(0, -r_w)))``; Pal et al. (Smaug), arXiv 2402.13228.

    The penalty stands inside the sigmoid and acts while the chosen title is less likely than under the reference.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: DpopOptions, context: Context) -> None:
        self._penalty, self._reduce = options.penalty, REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        margin = pair.margin - self._penalty * relu(-pair.chosen)
        return self._reduce(softplus(-pair.beta * margin), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, log(2)), keep)
