"""DPO, summed over pairs in three ways."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs, softplus


class Dpo:
    """``L_j = -log sigmoid(beta_j (r_w - r_j))`` with ``r = log p / p_ref``; Rafailov et al., eq. 7, arXiv 2305.18290.

    Several negatives: the mean (default), sum or maximum of the pairs' losses. beta_j belongs to pair j.

    Example (r_w - r_1 = log 3 nats: -log(3/4) = 0.2877):
        >>> scores = Scores.of(torch.tensor([[0.0, -log(3)]]), ref=torch.zeros(1, 2))
        >>> one = torch.ones(1, 1)
        >>> [round(v, 4) for v in Dpo(PairOptions(), None)(scores, one.bool(), one).tolist()]
        [0.2877]
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        return self._reduce(softplus(-pair.beta * pair.margin), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, log(2)), keep)
