"""NCA (pair form): rewards as independent classifiers against the reference."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs, softplus


class Nca:
    """``L_j = -log s(a) - 1/2 log s(-a) - 1/2 log s(-b_j)``, ``a = beta_j r_w``, ``b_j = beta_j r_j``, s the sigmoid.

    Chen et al., arXiv 2402.05369, in the pair form of TRL (``nca_pair``).
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        a, b = pair.beta * pair.chosen, pair.beta * pair.rejected
        return self._reduce(softplus(-a) + 0.5 * softplus(a) + 0.5 * softplus(b), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, 2 * log(2)), keep)
