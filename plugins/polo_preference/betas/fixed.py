"""The same strength for every negative, all the time."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Scores
from polo_preference.options.betas import FixedOptions


class Fixed:
    """``beta_j = value``.

    Example:
        >>> scores = Scores.of(torch.zeros(1, 3))
        >>> Fixed(FixedOptions(value=0.5), None)(scores, scores.valid_rejected, 0.0).tolist()
        [[0.5, 0.5]]
    """

    def __init__(self, options: FixedOptions, context: Context) -> None:
        self._value = options.value

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], progress: float) -> Float[Tensor, "b k"]:
        return torch.full_like(scores.wide[:, 1:], self._value, requires_grad=False)
