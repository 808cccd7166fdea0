"""A linear layer with a LoRA adapter as one operation. Knows peft's LoRA on ``nn.Linear``; leaves all else alone.

    y = x W^T + c + s (x A^T) B^T          W, c frozen; s = alpha / r

peft computes the sum in four operations, each of which writes (and in the backward pass reads again) a tensor of the
output's size. Here the low-rank part is added into the product in place, forward and backward.

Over frozen weights in half precision, adapters are float32: peft widens x and the sum, whose traffic costs more than
the product. Here A and B are rounded to the type of x, as autocast rounds them; their gradients are float32 again.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from polo_causal_lm.engines.shorter import shorten, shorter
from polo_causal_lm.lora import LoraLinear

#: types in which products are computed in half precision
HALF = (torch.bfloat16, torch.float16)


class _LowRank(torch.autograd.Function):
    """``x`` feeds the frozen part, ``low`` the adapter (``x`` after dropout); ``None`` if they are the same."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Float[Tensor, "n i"],
        low: Float[Tensor, "n i"] | None,
        weight: Float[Tensor, "o i"],
        bias: Float[Tensor, " o"] | None,
        a: Float[Tensor, "r i"],
        b: Float[Tensor, "o r"],
        scale: float,
    ) -> Float[Tensor, "n o"]:
        fed = x if low is None else low
        ctx.trained = a.dtype
        a, b = a.to(x.dtype), b.to(x.dtype)
        inner = fed @ a.T
        y = x @ weight.T if bias is None else torch.addmm(bias, x, weight.T)
        ctx.save_for_backward(fed, inner, weight, a, b)
        ctx.scale, ctx.apart = scale, low is not None
        return y.addmm_(inner, b.T, alpha=scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "n o"]) -> tuple[Tensor | None, ...]:
        fed, inner, weight, a, b = ctx.saved_tensors
        with torch.autocast(grad.device.type, enabled=False):  # as in the forward, whoever calls backward
            down = (grad @ b).mul_(ctx.scale)
            grad_b = (grad.T @ inner).to(ctx.trained).mul_(ctx.scale)
            grad_a = (down.T @ fed).to(ctx.trained)
            grad_x = grad @ weight if ctx.needs_input_grad[0] else None
            grad_low = None
            if ctx.apart:
                grad_low = down @ a if ctx.needs_input_grad[1] else None
            elif grad_x is not None:
                grad_x.addmm_(down, a)
        return grad_x, grad_low, None, None, grad_a, grad_b, None


@shorter
def low_rank_forward(self: LoraLinear, x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Forward of a peft LoRA layer: one operation where nothing but LoRA itself is asked for, else as peft does it."""
    name = _only_adapter(self, x) if not args and not kwargs else None
    if name is None:
        return type(self).forward(self, x, *args, **kwargs)
    base, a, b = self.base_layer, self.lora_A[name].weight, self.lora_B[name].weight
    dropout = self.lora_dropout[name]
    flat = x.reshape(-1, x.shape[-1])
    low = dropout(flat) if isinstance(dropout, nn.Dropout) and dropout.training and dropout.p > 0 else None
    y: Tensor = _LowRank.apply(flat, low, base.weight, base.bias, a, b, self.scaling[name])  # type: ignore[no-untyped-call]
    return y.view(*x.shape[:-1], -1)


def _only_adapter(layer: LoraLinear, x: Tensor) -> str | None:
    """The name of the only active adapter, if this call is nothing but frozen weight plus low rank.

    In one type; or with x and frozen weight in half precision and adapters in float32, under autocast too.
    """
    if not isinstance(x, Tensor) or layer.disable_adapters or layer.merged or len(layer.active_adapters) != 1:
        return None
    name: str = layer.active_adapters[0]
    if name not in layer.lora_A or name in layer.lora_variant:
        return None
    base, a, b = layer.base_layer, layer.lora_A[name], layer.lora_B[name]
    if any(type(one) is not nn.Linear or one._forward_pre_hooks or one._forward_hooks for one in (base, a, b)):  # noqa: SLF001
        return None  # quantised layers, wrapped ones, and those that somebody watches
    frozen = not base.weight.requires_grad and (base.bias is None or not base.bias.requires_grad)
    if not frozen or a.bias is not None or b.bias is not None or a.weight.dtype != b.weight.dtype:
        return None
    return name if x.dtype == base.weight.dtype and _rounds(x, a.weight) else None


def _rounds(x: Tensor, trained: Tensor) -> bool:
    """Whether all is computed in the type of ``x`` anyhow."""
    autocast = torch.is_autocast_enabled(x.device.type)
    if x.dtype not in HALF:
        return x.dtype == trained.dtype and not autocast
    return trained.dtype in (x.dtype, torch.float32) and (
        not autocast or torch.get_autocast_dtype(x.device.type) == x.dtype
    )


def join_adapters(model: nn.Module) -> None:
    """Gives every LoRA layer of ``model`` the forward above. May be called again."""
    for module in model.modules():
        if type(module) is LoraLinear:
            shorten(module, low_rank_forward)
