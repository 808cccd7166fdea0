"""The robust mean of scores over a Rényi ball, and the threshold that makes it exact. Knows numbers; no user, no head.

``sup { E_Q s : D_omega(Q || P) <= eta } = inf_b { b + c (E_P (s - b)_+^p)^(1/p) }`` with ``p = omega / (omega - 1)``,
``c = exp(eta / p)``; the right-hand side is what is computed here, for the n kept scores of each row.
"""

from __future__ import annotations

from math import expm1, log
from typing import Final, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

#: halvings of the bracket: from any width down to neighbouring float64 numbers
_HALVINGS: Final = 64


class Bound(NamedTuple):
    """The bound ``[B]`` and its gradient with respect to the scores ``[B, K]``; both without autograd."""

    value: Float[Tensor, " b"]
    weights: Float[Tensor, "b k"]

    @property
    def slope(self) -> Float[Tensor, " b"]:
        """The derivative with respect to the threshold: ``1 - sum of the weights``."""
        return 1 - self.weights.sum(-1)


class Renyi(NamedTuple):
    """``L(s, b) = (mean_j x_j^p)^(1/p) + b`` with ``x_j = eps + c (s_j - b)_+``.

    Computed around the largest x, so that nothing overflows for any p. Gradient:
    ``w_j = c/n (x_j / |x|)^(p-1)`` with ``|x| = (mean x^p)^(1/p)`` for ``s_j > b``, else 0.

    Example (p = 2, c = 2, eps = 0, b = 1, scores 2 and 1: x = 2, 0; sqrt(4 / 2) + 1 = 2.4142):
        >>> s, b = torch.tensor([[2.0, 1.0]]), torch.tensor([1.0])
        >>> bound = Renyi(2.0, 2.0, 0.0).bound(s, b, torch.ones(1, 2, dtype=torch.bool))
        >>> round(bound.value.item(), 4), [round(w, 4) for w in bound.weights[0].tolist()]
        (2.4142, [1.4142, 0.0])
    """

    power: float
    c: float
    eps: float

    @torch.no_grad()
    def bound(self, s: Float[Tensor, "b k"], b: Float[Tensor, " b"], keep: Bool[Tensor, "b k"]) -> Bound:
        """The bound at thresholds ``b``; a row that keeps nothing has value b and no weights."""
        if s.shape[1] == 0:
            return Bound(b, torch.zeros_like(s))
        gap = torch.where(keep, s - b[:, None], 0.0).clamp(min=0)
        x = torch.where(keep, self.eps + self.c * gap, 0.0)
        top = x.amax(-1, keepdim=True)
        share = x / torch.where(top > 0, top, 1.0)
        n = keep.sum(-1, keepdim=True).clamp(min=1).to(s.dtype)
        below = share ** (self.power - 1)
        mean = torch.where(top > 0, (below * share).sum(-1, keepdim=True) / n, 1.0)
        value = (top * mean ** (1 / self.power))[:, 0] + b
        slopes = self.c / n * below * mean ** (1 / self.power - 1)
        return Bound(value, torch.where(gap > 0, slopes, 0.0))

    @torch.no_grad()
    def best(self, s: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Bound:
        """The bound at each row's best threshold, by bisection of its slope (L is convex in b). Needs c > 1.

        The weights are those of the worst distribution Q: at least 0, and their sum is 1. Where L has a kink at its
        minimum (p = 1 always) they lie between those of its two sides.
        """
        if s.shape[1] == 0:
            return Bound(s.sum(-1), torch.zeros_like(s))
        s, dtype, some = torch.where(keep, s, 0.0).double(), s.dtype, keep.any(-1)
        high = torch.where(some, torch.where(keep, s, -torch.inf).amax(-1), 0.0)
        spread = torch.where(some, high - torch.where(keep, s, torch.inf).amin(-1), 0.0)
        low = high - self._width(spread)
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            falls = self.bound(s, middle, keep).slope <= 0
            low, high = torch.where(falls, middle, low), torch.where(falls, high, middle)
        left, right = self.bound(s, low, keep), self.bound(s, high, keep)
        jump = right.slope - left.slope
        share = torch.where(jump > 0, -left.slope / torch.where(jump > 0, jump, 1.0), 0.0).clamp(0, 1)[:, None]
        weights = (1 - share) * left.weights + share * right.weights
        return Bound(torch.minimum(left.value, right.value).to(dtype), weights.to(dtype))

    def _width(self, spread: Float[Tensor, " b"]) -> Float[Tensor, " b"]:
        """How far below the highest score the slope is negative for certain, for scores that are ``spread`` apart.

        The weights sum to at least ``c r^(p-1)``, r the least x over the largest: enough where ``r >= c^(-1/(p-1))``.
        """
        share = 1.0 if self.power == 1 else -expm1(-log(self.c) / (self.power - 1))
        return spread / share + 1e-3 * (1 + spread)
