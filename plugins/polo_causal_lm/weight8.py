"""A linear layer with frozen weights in 8 bits and activations as they are: ``y = x (q s)^T + c``.

Imports bitsandbytes, so it is imported where a recipe asks for it only.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int8
from torch import Tensor
from torch.autograd.function import once_differentiable
from torch.nn import functional

from polo_causal_lm.bits import bitsandbytes

bnb = bitsandbytes()


class _Product(torch.autograd.Function):
    """q and s are kept for the backward pass; their product is made again."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "*n i"],
        weight: Int8[Tensor, "o i"],
        scale: Float[Tensor, " o"],
        bias: Float[Tensor, " o"] | None,
    ) -> Float[Tensor, "*n o"]:
        ctx.save_for_backward(weight, scale)
        return functional.linear(x, times(weight, scale, x.dtype), bias)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "*n o"]) -> tuple[Tensor, None, None, None]:
        weight, scale = ctx.saved_tensors
        return grad @ times(weight, scale, grad.dtype), None, None, None


class Weight8(bnb.nn.Linear8bitLt):  # type: ignore[misc] # bitsandbytes has no types
    """Takes the place of bitsandbytes' own layer, which rounds activations by what else is in the pass."""

    def forward(self, x: Tensor) -> Tensor:
        bias = None if self.bias is None else self.bias.to(x.dtype)
        out: Tensor = _Product.apply(x, self.weight.data, scale_of(self), bias)  # type: ignore[no-untyped-call]
        return out


def scale_of(layer: Any) -> Float[Tensor, " o"]:
    """What the 8-bit numbers of each row are multiplied with: the largest weight of the row over 127."""
    held = layer.state.SCB if layer.weight.SCB is None else layer.weight.SCB  # it moves on a layer's first own forward
    scale: Tensor = held.to(layer.weight.device) / 127
    return scale


def times(weight: Int8[Tensor, "o i"], scale: Float[Tensor, " o"], dtype: torch.dtype) -> Float[Tensor, "o i"]:
    """The weight as numbers."""
    return weight.to(dtype).mul_(scale.to(dtype)[:, None])
