"""EXO: the reverse KL divergence to smoothed preferences."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor, sigmoid

from polo import Context, Need, Scores
from polo_preference.options.losses import ExoOptions
from polo_preference.tensors import REDUCE, pairs, softplus


class Exo:
    """``L_j = s(z) (log s(z) - log(1 - e)) + s(-z) (log s(-z) - log e)``, ``z = beta_j (r_w - r_j)``, s the sigmoid.

    Ji et al., eq. 16, arXiv 2402.00856. Not negative, and 0 at s(z) = 1 - e.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: ExoOptions, context: Context) -> None:
        self._e, self._reduce = options.smoothing, REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        z = pair.beta * pair.margin
        right = sigmoid(z) * (-softplus(-z) - log(1 - self._e))
        wrong = sigmoid(-z) * (-softplus(z) - log(self._e))
        return self._reduce(right + wrong, keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, -log(2) - 0.5 * log(1 - self._e) - 0.5 * log(self._e)), keep)
