"""ORPO: likelihood and an odds ratio, in one stage and without a reference."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.losses.sft import nll
from polo_preference.options.losses import PairOptions
from polo_preference.tensors import REDUCE, pairs, per_token, softplus, where_any


class Orpo:
    """``L_j = NLL_w / |y_w| - beta_j log sigmoid(o_w - o_j)``, ``o = log(p / (1 - p))``, ``p = exp(lp / |y|)``.

    Hong et al., eq. 6 and 7, arXiv 2403.07691; p is the geometric mean of a title's token probabilities and beta_j the
    paper's lambda. A p of 1 is taken as 1 minus the rounding unit of its type, where the odds are still finite.
    """

    needs: frozenset[Need] = frozenset({"negatives", "logprob", "tokens"})

    def __init__(self, options: PairOptions, context: Context) -> None:
        self._reduce = REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(per_token(scores.wide, scores.tokens), keep, beta)
        ratio = log_odds(pair.chosen) - log_odds(pair.rejected)
        preference = self._reduce(pair.beta * softplus(-ratio), keep)
        return where_any(preference + nll(scores, "token"), keep)


def log_odds(log_p: Float[Tensor, "b k"]) -> Float[Tensor, "b k"]:
    """``log p - log(1 - p)`` from ``log p <= 0``; ``1 - p`` by expm1, so that a p near 1 loses no digits.

    Example:
        >>> [round(v, 4) for v in log_odds(torch.tensor([[0.75, 0.5]]).log())[0].tolist()]
        [1.0986, 0.0]
    """
    log_p = log_p.clamp(max=-torch.finfo(log_p.dtype).eps)
    return log_p - (-torch.expm1(log_p)).log()
