"""DiscoPOP: a loss found by search, logistic for small and exponential for large margins."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor, sigmoid

from polo import Context, Need, Scores
from polo_preference.options.losses import DiscopopOptions
from polo_preference.tensors import REDUCE, pairs, softplus


class Discopop:
    """``L_j = (1 - m) (-log s(z)) + m exp(-z)``, ``m = s(z / tau)``, ``z = beta_j (r_w - r_j)``, s the sigmoid.

    Log-ratio modulated loss, Lu et al., eq. 5, arXiv 2406.08414. ``m exp(-z)`` is computed as ``exp(log m - z)``,
    which stays finite for tau <= 1. At z = 0 the loss rises with z for small tau: the found loss is not monotone.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: DiscopopOptions, context: Context) -> None:
        self._tau, self._reduce = options.tau, REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        z = pair.beta * pair.margin
        logistic = sigmoid(-z / self._tau) * softplus(-z)
        exponential = (-softplus(-z / self._tau) - z).exp()
        return self._reduce(logistic + exponential, keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, 0.5 * log(2) + 0.5), keep)
