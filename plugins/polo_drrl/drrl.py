"""DrRL: the worst mean of the negatives' scores within a Rényi ball around their distribution, user by user."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu

from polo import Context, Scores
from polo_drrl.options import DrrlOptions
from polo_drrl.renyi import Bound, Renyi
from polo_drrl.rewards import Rewards, mean_kept, needs_of, rewards, sum_of_user
from polo_drrl.users import PerUser, splits_of


class Drrl:
    """``L = mean_j relu(1 - beta_j s_w) + (mean_j x_j^p)^(1/p) + b_u``, ``x_j = eps + c relu(beta_j s_j - b_u)``.

    DrRL, arXiv 2506.15120, as in the released code (AAAI 2025): ``p = omega / (omega - 1)``, and each user has a
    threshold b_u, which moves first: one SGD step on the sum of the batch's losses with the scores held, then the model
    sees the new one. A step that is not taken (validation, a second look) moves nothing. Made for cosines: beta is 1
    there, or tau where the policy divides by tau.

    omega = infinity (``gamma: 0``) is CCL with margin b_u, plus b_u and eps; omega towards 1 the softmax.

    Example (s_w = 0.5, negatives 0.9 and 0.2, p = 1, c = 2, eps = 0; b_u starts at 0.7 and its slope there is
    1 - 2 * 1/2 = 0: 0.5 + 2 (0.2 + 0) / 2 + 0.7 = 1.4):
        >>> from polo.testing import context, small_splits
        >>> head = Drrl(DrrlOptions(gamma=0, c=2.0, eps=0.0), context(splits=small_splits()))
        >>> scores, ones = Scores.of(torch.tensor([[0.5, 0.9, 0.2]])), torch.ones(1, 2)
        >>> round(head(scores, ones.bool(), ones).item(), 4)
        1.4
    """

    def __init__(self, options: DrrlOptions, context: Context) -> None:
        self._options, self._rate = options, options.threshold_lr
        self._renyi = Renyi(options.power, options.c, options.eps)
        self._thresholds = PerUser(splits_of(context).n_users, options.threshold)
        self.needs = needs_of(options, "whole_batch")

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = rewards(scores, keep, beta, self._options)
        before, some = self._thresholds.now(scores.users).to(pair.rejected.dtype), keep.any(-1)
        slope = torch.where(some, self._renyi.bound(pair.rejected, before, keep).slope, 0.0)
        threshold = before - self._rate * sum_of_user(slope, scores.users)
        self._thresholds.propose(scores.users, threshold)
        return row_loss(pair, self._renyi.bound(pair.rejected, threshold, keep))

    def after_step(self, step: int) -> None:
        self._thresholds.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._thresholds.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._thresholds.load_state_dict(state)


class DrrlExact:
    """``L = mean_j relu(1 - beta_j s_w) + min_b { (mean_j x_j^p)^(1/p) + b }``, ``x_j = eps + c relu(beta_j s_j - b)``.

    DrRL (arXiv 2506.15120) with each row's best threshold instead of a learnt one: with eps = 0 exactly the largest
    mean of the negatives' scores within the Rényi ball of radius ``omega / (omega - 1) log c``. The gradient is that of
    the worst distribution: weights of at least 0 whose sum is 1. Keeps no state and looks at one row at a time.

    Example (p = 1, c = 2: the mean of the upper half; relu(1 - 1) + (4 + 2) / 2 = 3):
        >>> head = DrrlExact(DrrlOptions(gamma=0, c=2.0, eps=0.0, solver="bisect"), None)
        >>> scores, ones = Scores.of(torch.tensor([[1.0, 4.0, 2.0, -1.0, 0.5]])), torch.ones(1, 4)
        >>> round(head(scores, ones.bool(), ones).item(), 4)
        3.0
    """

    def __init__(self, options: DrrlOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)
        self._renyi = Renyi(options.power, options.c, options.eps)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = rewards(scores, keep, beta, self._options)
        return row_loss(pair, self._renyi.best(pair.rejected.detach(), keep))


def row_loss(pair: Rewards, bound: Bound) -> Float[Tensor, " b"]:
    """The positive's hinge plus the bound, with the bound's gradient; 0 for a row without negatives."""
    rejected = pair.rejected
    negatives = bound.value + (bound.weights * (rejected - rejected.detach())).sum(-1)
    return torch.where(pair.keep.any(-1), mean_kept(relu(1 - pair.chosen), pair.keep) + negatives, 0.0)


_SOLVER: Mapping[str, type[Drrl] | type[DrrlExact]] = MappingProxyType({"sgd": Drrl, "bisect": DrrlExact})


def build(options: DrrlOptions, context: Context) -> Drrl | DrrlExact:
    """``L = mean_j relu(1 - beta_j s_w) + (mean_j x_j^p)^(1/p) + b``, ``x_j = eps + c relu(beta_j s_j - b)``.

    DrRL (arXiv 2506.15120) with ``p = omega / (omega - 1)``. ``solver: sgd`` keeps a threshold b for each user, which
    takes an SGD step of its own before each step of the model (:class:`Drrl`); ``bisect`` takes the b of each row that
    makes the loss smallest (:class:`DrrlExact`).
    """
    return _SOLVER[options.solver](options, context)
