"""Strengths that change over a stage."""

from __future__ import annotations

from math import cos, pi

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Scores
from polo_preference.options.betas import ScheduleOptions


class Linear:
    """``beta = start + (end - start) t`` with t the stage's progress from 0 to 1.

    Example:
        >>> scores = Scores.of(torch.zeros(1, 2))
        >>> Linear(ScheduleOptions(start=1.0, end=0.5), None)(scores, scores.valid_rejected, 0.5).tolist()
        [[0.75]]
    """

    def __init__(self, options: ScheduleOptions, context: Context) -> None:
        self._start, self._end = options.start, options.end

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], progress: float) -> Float[Tensor, "b k"]:
        value = self._start + (self._end - self._start) * progress
        return torch.full_like(scores.wide[:, 1:], value, requires_grad=False)


class Cosine:
    """``beta = end + (start - end) (1 + cos(pi t)) / 2``: slow at both ends of the stage."""

    def __init__(self, options: ScheduleOptions, context: Context) -> None:
        self._start, self._end = options.start, options.end

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], progress: float) -> Float[Tensor, "b k"]:
        value = self._end + (self._start - self._end) * 0.5 * (1 + cos(pi * progress))
        return torch.full_like(scores.wide[:, 1:], value, requires_grad=False)
