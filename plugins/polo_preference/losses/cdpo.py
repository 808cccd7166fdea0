"""cDPO: DPO with label smoothing."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import SmoothedOptions
from polo_preference.tensors import REDUCE, pairs, softplus


class Cdpo:
    """``L_j = -(1 - e) log sigmoid(z_j) - e log sigmoid(-z_j)``, ``z_j = beta_j (r_w - r_j)``.

    Conservative DPO: label smoothing e (a note by E. Mitchell, 2023). e = 0 is DPO. Least at sigmoid(z) = 1 - e.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: SmoothedOptions, context: Context) -> None:
        self._e, self._reduce = options.smoothing, REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        z = pair.beta * pair.margin
        return self._reduce((1 - self._e) * softplus(-z) + self._e * softplus(z), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, log(2)), keep)
