"""LLPAUC: the part of the area under the ROC curve that the top of a list lives in, as a min-max problem."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Scores
from polo_drrl.adam import Adam
from polo_drrl.options import LlpaucOptions
from polo_drrl.rewards import Rewards, mean_kept, needs_of, rewards, softplus


def project(values: Float[Tensor, " 5"]) -> Float[Tensor, " 5"]:
    """a, b in [0, 1]; gamma in [max(-a, b - 1), 1]; s+ in [-1, 4]; s- in [0, 5]."""
    a, b = values[0].clamp(0, 1), values[1].clamp(0, 1)
    gamma = torch.minimum(torch.maximum(values[2], torch.maximum(-a, b - 1)), torch.ones_like(a))
    return torch.stack([a, b, gamma, values[3].clamp(-1, 4), values[4].clamp(0, 5)])


class Llpauc:
    """Lower-left partial AUC with shares alpha and beta; Shi et al., arXiv 2403.00844.

    ``L = -s+ - R(l+ - s+) / alpha + s- + mean_j R(l-_j - s-) / beta - gamma^2`` with ``R(x) = log(1 + e^(kappa x)) /
    kappa``, ``l+ = -(p_w - a)^2 + 2 (1 + gamma) p_w``, ``l-_j = (p_j - b)^2 + 2 (1 + gamma) p_j`` and p the sigmoid of
    the score times the stage's beta. a, b and s- go down, gamma and s+ up (``ascent``), by Adam, from 1, 0, 0.5, 0 and
    0.5; all are put back into their ranges. They move when the model has moved. The public code's multipliers of the
    range of gamma are left out: the projection keeps it.

    Example (p = 1/2; a = 1, b = 0: l+ = -1/4 + 1, l- = 1/4 + 1; kappa is large, so R is the positive part:
    -0.5 - 0.25 / 0.5 + 0.5 + 0.75 / 0.5):
        >>> head = Llpauc(LlpaucOptions(alpha=0.5, beta=0.5, kappa=1000.0), None)
        >>> scores, one = Scores.of(torch.zeros(1, 2)), torch.ones(1, 1)
        >>> round(head(scores, one.bool(), one).item(), 4)
        1.0
    """

    def __init__(self, options: LlpaucOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options, "whole_batch")
        uphill = -1.0 if options.ascent else 1.0
        self._sign = torch.tensor([1.0, 1.0, uphill, uphill, 1.0], dtype=torch.float64)
        rates = options.lr * torch.tensor([1.0, 1.0, 2.0, 2.0, 2.0], dtype=torch.float64)
        self._own = Adam(torch.tensor([1.0, 0.0, 0.0, 0.5, 0.5]), rates, project)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair, own = rewards(scores, keep, beta, self._options), self._own.on(scores.policy.device)
        with torch.enable_grad():
            held = Rewards(pair.chosen.detach(), pair.rejected.detach(), keep)
            mean = self._loss(held, own).sum() / keep.any(-1).sum().clamp(min=1)
            (gradient,) = torch.autograd.grad(mean, own)
        self._own.propose(gradient * self._sign.to(gradient.device))
        return self._loss(pair, own.detach())

    def _loss(self, pair: Rewards, own: Float[Tensor, " 5"]) -> Float[Tensor, " b"]:
        o = self._options
        a, b, gamma, high, low = own.to(pair.chosen.dtype).unbind()
        chosen, rejected = torch.sigmoid(pair.chosen), torch.sigmoid(pair.rejected)
        up = softplus(o.kappa * (-((chosen - a) ** 2) + 2 * (1 + gamma) * chosen - high)) / o.kappa
        down = softplus(o.kappa * ((rejected - b) ** 2 + 2 * (1 + gamma) * rejected - low)) / o.kappa
        return mean_kept(low - high - gamma**2 - up / o.alpha + down / o.beta, pair.keep)

    def after_step(self, step: int) -> None:
        self._own.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._own.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._own.load_state_dict(state)
