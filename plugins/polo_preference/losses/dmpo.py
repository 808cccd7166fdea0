"""DMPO: one margin against the mean of all negatives."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.tensors import mean_kept, pairs, softplus, where_any


class Dmpo:
    """``L = -log sigmoid(mean_j beta_j (r_w - r_j))`` over the kept j; Bai et al., arXiv 2405.16127.

    With one beta for all it is the published ``-log sigmoid(beta r_w - (beta/k) sum_j r_j)``; with beta_j of its own
    for each negative it is the form that DynamicPO uses (arXiv 2605.00327). The public code of DMPO computes something
    else (pairwise DPO in which the reference cancels, plus the mean log-likelihood per token): that is ``cpo`` with
    ``reduce: token`` here. One negative: DPO.

    Example (margins 1 and 3, mean 2: softplus(-2) = 0.1269):
        >>> scores = Scores.of(torch.tensor([[0.0, -1.0, -3.0]]), ref=torch.zeros(1, 3))
        >>> ones = torch.ones(1, 2)
        >>> [round(v, 4) for v in Dmpo(None, None)(scores, ones.bool(), ones).tolist()]
        [0.1269]
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: None, context: Context) -> None:
        pass

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        return where_any(softplus(-mean_kept(pair.beta * pair.margin, keep)), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return where_any(torch.full_like(beta[:, :1].sum(-1), log(2)), keep)
