"""What the linear losses share: log-ratios of pairs, and the positive regulariser.

Knows masks and dtypes. What is not kept is replaced before anything is computed with it, so its gradient is exactly 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu

from polo import Scores
from polo_lpo.options import LinearOptions


class LinearPairs(NamedTuple):
    """``x_w``, ``x_j`` and beta_j of the pairs ``[B, J]`` (J = K, or 1 with ``negatives: inside``), and which count."""

    chosen: Float[Tensor, "b j"]
    rejected: Float[Tensor, "b j"]
    beta: Float[Tensor, "b j"]
    keep: Bool[Tensor, "b j"]

    @property
    def offset(self) -> Float[Tensor, "b j"]:
        """The margin that the losses draw to: ``1 / (2 beta)``."""
        return 0.5 / self.beta


def linear_pairs(
    scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"], options: LinearOptions
) -> LinearPairs:
    """Log-ratios against the reference, per token or per title, of each kept pair (or of the mean negative)."""
    x = scores.log_ratio
    if options.length == "mean":
        x = x / scores.tokens.clamp(min=1)
    rejected = torch.where(keep, x[:, 1:], 0.0)
    beta = torch.where(keep, beta.to(x.dtype), 1.0)
    if options.negatives == "inside":
        n = keep.sum(-1, keepdim=True).clamp(min=1)
        rejected = rejected.sum(-1, keepdim=True) / n
        keep, beta = keep.any(-1, keepdim=True), torch.where(keep, beta, 0.0).sum(-1, keepdim=True) / n
        beta = torch.where(keep, beta, 1.0)
    return LinearPairs(torch.where(keep, x[:, :1], 0.0), rejected, beta, keep)


def row_loss(pair: LinearPairs, loss: Float[Tensor, "b j"], options: LinearOptions) -> Float[Tensor, " b"]:
    """Mean over the pairs of ``loss + regulariser max(0, -x_w)``; 0 for a row without pairs.

    At ``x_w = 0`` the maximum of two equal numbers has half the slope of each (the released code), a relu has none.
    """
    short = -pair.chosen
    below = torch.maximum(short, torch.zeros_like(short)) if options.slope_at_zero == "half" else relu(short)
    every = torch.where(pair.keep, loss + options.regulariser * below, 0.0)
    return every.sum(-1) / pair.keep.sum(-1).clamp(min=1)


def constant(keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"], value: float) -> Float[Tensor, " b"]:
    """``value`` for rows that keep a negative, 0 for the others."""
    return torch.where(keep.any(-1), value, 0.0).to(beta.dtype)
