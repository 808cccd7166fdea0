"""S-DPO: the chosen item against all negatives at once, and its form for negatives that are a sample."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, PoloError, Scores
from polo_preference.tensors import pairs, where_any


def log_one_plus_sum_exp(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """``log(1 + sum_j exp(x_j))`` over the kept j; 0 for a row that keeps none. Never overflows."""
    terms = torch.where(keep, x, -torch.inf)
    return torch.cat([terms.new_zeros(len(terms), 1), terms], dim=-1).logsumexp(-1)


class Sdpo:
    """``L = -log sigmoid(-log sum_j exp(beta_j (r_j - r_w)))``; Chen et al., eq. 8, arXiv 2406.09215.

    Computed exactly as ``log(1 + sum_j exp(beta_j (r_j - r_w)))``, without the 1e-8 of public code. One negative: DPO.

    Example (both margins 0: log(1 + 2) = 1.0986):
        >>> scores = Scores.of(torch.zeros(1, 3), ref=torch.zeros(1, 3))
        >>> ones = torch.ones(1, 2)
        >>> [round(v, 4) for v in Sdpo(None, None)(scores, ones.bool(), ones).tolist()]
        [1.0986]
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference"})

    def __init__(self, options: None, context: Context) -> None:
        pass

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        return log_one_plus_sum_exp(-pair.beta * pair.margin, keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return torch.log1p(keep.sum(-1).to(beta.dtype))


class SdpoSampled:
    """S-DPO whose negatives stand for the whole catalogue: each counts ``1 / (n q_j)`` times.

    ``L = log(1 + sum_j exp(beta_j (r_j - r_w) - log(n q_j)))`` with n kept negatives, q_j the sampler's probability of
    drawing j: the importance-weighted sampled softmax (Bengio & Senécal 2008) in S-DPO's place of the sum. Needs a
    sampler that gives ``log_q`` (``popularity``, ``in_batch``).
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference", "log_q"})

    def __init__(self, options: None, context: Context) -> None:
        pass

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        if scores.log_q is None:
            raise PoloError("`sdpo_sampled` was given no log_q", where="loss", fix="call it through a stage")
        pair = pairs(scores.log_ratio, keep, beta)
        log_count = torch.log(keep.sum(-1, keepdim=True).clamp(min=1).to(pair.beta.dtype))
        weight = torch.where(keep, scores.log_q.to(pair.beta.dtype), 0.0) + log_count
        return where_any(log_one_plus_sum_exp(-pair.beta * pair.margin - weight, keep), keep)
