"""IPO: a regression of the margin to a target."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import LengthOptions
from polo_preference.tensors import REDUCE, pairs, per_token


class Ipo:
    """``L_j = (D_j - 1 / (2 beta_j))^2``, ``D_j = r_w - r_j``; Azar et al., eq. 17, arXiv 2310.12036.

    ``length: sum`` takes log-ratios of whole titles (the paper); ``mean`` divides each side by its own number of
    tokens (as TRL does).
    """

    def __init__(self, options: LengthOptions, context: Context) -> None:
        self._reduce, self._per_token = REDUCE[options.pairs], options.length == "mean"
        self.needs: frozenset[Need] = frozenset(
            {"negatives", "reference", "tokens"} if self._per_token else {"negatives", "reference"}
        )

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        ratio = scores.log_ratio
        pair = pairs(per_token(ratio, scores.tokens) if self._per_token else ratio, keep, beta)
        return self._reduce((pair.margin - 0.5 / pair.beta) ** 2, keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce((0.5 / torch.where(keep, beta, 1.0)) ** 2, keep)
