"""PSL: a softmax whose exponential is replaced by a surrogate that bounds the rank more tightly."""

from __future__ import annotations

from math import log

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import logsigmoid

from polo import Context, Scores
from polo_drrl.options import PslOptions
from polo_drrl.rewards import log_sum_exp, needs_of, rewards


def log_tanh(d: Tensor, floor: float) -> Tensor:
    """``log(1 + tanh d) = log 2 + log sigmoid(2 d)``: never minus infinity, so no floor is needed."""
    return log(2) + logsigmoid(2 * d)


def log_relu(d: Tensor, floor: float) -> Tensor:
    """``log max(0, 1 + d)``."""
    return (1 + d).clamp(min=floor).log()


def log_atan(d: Tensor, floor: float) -> Tensor:
    """``log(1 + atan d)``."""
    return (1 + torch.atan(d)).clamp(min=floor).log()


_LOG_OF = {"tanh": log_tanh, "relu": log_relu, "atan": log_atan}


class Psl:
    """``L = log sum_j exp(a(beta_j (s_j - s_w)) / tau*)``; pairwise softmax loss, Yang et al., arXiv 2411.00163.

    ``a(d)`` is the logarithm of ``1 + tanh d``, ``max(0, 1 + d)`` or ``1 + atan d``; ``a(d) = d`` would be the softmax
    without the positive. The paper scales d into [-1, 1]: for cosines beta is at most 1/2. Below, relu and atan have no
    logarithm; they are held at ``floor``, where there is no gradient. This is the paper's first form (expectation over
    negatives); the second, one expectation over all pairs of a user, is not here.

    Example (gaps 0, tau* 1: log(1 + 1)):
        >>> scores, ones = Scores.of(torch.zeros(1, 3)), torch.ones(1, 2)
        >>> round(Psl(PslOptions(), None)(scores, ones.bool(), ones).item(), 4)
        0.6931
    """

    def __init__(self, options: PslOptions, context: Context) -> None:
        self._options, self.needs, self._log = options, needs_of(options), _LOG_OF[options.activation]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        o = self._options
        return log_sum_exp(self._log(rewards(scores, keep, beta, o).gap, o.floor) / o.temperature, keep)
