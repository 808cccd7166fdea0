"""Masked arithmetic on scores, shared by the heads and betas of this plugin.

Knows dtypes, masks and reductions over negatives. Knows no objective. Two rules hold everywhere: nothing is computed
in less than float32, and what a mask leaves out is replaced by 0 *before* any non-linear function, so that its
gradient is exactly zero and a NaN or infinity in it goes nowhere.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid


def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x)) = -log sigmoid(-x)``, exact everywhere (torch's own is cut at 20, and 2e-9 off there).

    Example:
        >>> softplus(torch.tensor([0.0, 1e4])).tolist()
        [0.6931471824645996, 10000.0]
    """
    return -logsigmoid(-x)


def per_token(x: Float[Tensor, "b n"], tokens: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """Mean over a title's tokens, from the sum."""
    return x / tokens.clamp(min=1)


class Pairs(NamedTuple):
    """All pairs (chosen, negative j) of B rows; where j is not kept, scores are 0 and beta is 1."""

    #: the chosen one's value, repeated for each negative
    chosen: Float[Tensor, "b k"]
    rejected: Float[Tensor, "b k"]
    beta: Float[Tensor, "b k"]

    @property
    def margin(self) -> Float[Tensor, "b k"]:
        """``chosen - rejected``."""
        return self.chosen - self.rejected


def pairs(x: Float[Tensor, "b n"], keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Pairs:
    """Splits ``x`` (column 0 = chosen) into pairs; what ``keep`` leaves out is 0 and gets no gradient.

    Example:
        >>> x = torch.tensor([[3.0, 1.0, float("nan")]])
        >>> pairs(x, torch.tensor([[True, False]]), torch.ones(1, 2)).margin.tolist()
        [[2.0, 0.0]]
    """
    zero = x.new_zeros(())
    return Pairs(
        torch.where(keep, x[:, :1], zero),
        torch.where(keep, x[:, 1:], zero),
        torch.where(keep, beta.to(x.dtype), x.new_ones(())),  # not 0: some heads divide by it
    )


def mean_kept(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Mean over the kept negatives; 0 for a row that keeps none."""
    return sum_kept(x, keep) / keep.sum(-1).clamp(min=1)


def sum_kept(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Sum over the kept negatives."""
    return torch.where(keep, x, x.new_zeros(())).sum(-1)


def max_kept(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Largest of the kept negatives (ties share the gradient); 0 for a row that keeps none."""
    if x.shape[-1] == 0:
        return x.sum(-1)
    some = keep.any(-1, keepdim=True)
    return torch.where(keep, x, torch.where(some, -torch.inf, x.new_zeros(()))).amax(-1)


#: how the losses of a row's pairs become the row's loss
REDUCE: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = MappingProxyType(
    {"mean": mean_kept, "sum": sum_kept, "max": max_kept}
)


def where_any(loss: Float[Tensor, " b"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """``loss`` of the rows that keep a negative, 0 for the others."""
    return torch.where(keep.any(-1), loss, loss.new_zeros(()))
