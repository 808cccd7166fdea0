"""DynamicPO's beta: each boundary negative's strength from two margins."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_dynamicpo.options import DualMarginOptions


class DualMargin:
    """``beta_j = base (1 + scale tanh((d1_j - d2_j - g) / (|d1_j| + |d2_j| + eps)))``; DynamicPO, arXiv 2605.00327.

    ``d1_j = lp(y_w) - lp(y_j)``, ``d2_j = lp(y_j) - m`` with m the mean of lp over D, the valid negatives that are not
    kept (over the kept ones where D is empty), and g the ``margin``. lp is the policy's log-probability; no gradient.
    An easy boundary negative (d1 large) gets a larger beta, an ambiguous one a smaller, hence a gradient that lasts.

    Example (d1 = 3, d2 = 0.5, g = 2: 1 + 0.5 tanh(0.5 / 3.5) = 1.0709):
        >>> scores = Scores.of(torch.tensor([[0.0, -3.0, -3.5]]))
        >>> keep = torch.tensor([[True, False]])
        >>> round(DualMargin(DualMarginOptions(margin=2.0), None)(scores, keep, 0.0)[0, 0].item(), 4)
        1.0709
    """

    def __init__(self, options: DualMarginOptions, context: Context) -> None:
        self._options = options
        self._statistic, self.needs = _STATISTIC[options.statistic]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], progress: float) -> Float[Tensor, "b k"]:
        o = self._options
        x = self._statistic(scores).detach()
        easy = scores.valid_rejected & ~keep
        easy = torch.where(easy.any(-1, keepdim=True), easy, keep)
        rejected = torch.where(scores.valid_rejected, x[:, 1:], 0.0)
        mean = torch.where(easy, rejected, 0.0).sum(-1, keepdim=True) / easy.sum(-1, keepdim=True).clamp(min=1)
        d1, d2 = x[:, :1] - rejected, rejected - mean
        q = (d1 - d2 - o.margin) / (d1.abs() + d2.abs() + o.eps)
        return torch.where(keep, o.base * (1 + o.scale * torch.tanh(q)), o.base)


_NONE: frozenset[Need] = frozenset()
_STATISTIC: dict[str, tuple[Callable[[Scores], Tensor], frozenset[Need]]] = {
    "logprob": (lambda scores: scores.wide, _NONE),
    "log_ratio": (lambda scores: scores.log_ratio, frozenset[Need]({"reference"})),
    "mean_logprob": (lambda scores: scores.wide / scores.tokens.clamp(min=1), frozenset[Need]({"tokens"})),
}
