"""RMSNorm with a frozen weight as one operation with a short backward pass. Knows the Llama form.

y = w x r,    r = (mean(x^2) + eps)^(-1/2)
dx = r (w dy) - x r^3 mean(x w dy)
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from polo_causal_lm.engines.shorter import shorten, shorter

HALF = (torch.bfloat16, torch.float16)
#: classes of transformers whose forward is the formula above: computed in float32 at least, scaled by ``weight``
KNOWN = ("LlamaRMSNorm", "MistralRMSNorm", "Qwen2RMSNorm", "Qwen3RMSNorm")


class _Norm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "*n h"], weight: Float[Tensor, " h"], eps: float) -> Float[Tensor, "*n h"]:
        scale: Tensor = torch.linalg.vector_norm(x, dim=-1, keepdim=True)
        scale = scale.square_().div_(x.shape[-1]).add_(eps).rsqrt_()
        ctx.save_for_backward(x, scale, weight)
        return (x * scale).mul_(weight)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "*n h"]) -> tuple[Tensor | None, None, None]:
        x, scale, weight = ctx.saved_tensors
        wide = grad * weight
        with torch.autocast(x.device.type, enabled=False):  # which takes a product of vectors for one of matrices
            inner = torch.linalg.vecdot(wide, x)[..., None].div_(x.shape[-1])
        return wide.mul_(scale).addcmul_(x, inner.mul_(scale**3), value=-1), None, None


def half_norm(x: Float[Tensor, "*n h"], weight: Float[Tensor, " h"], eps: float) -> Float[Tensor, "*n h"]:
    """The same of half-precision numbers, by torch's one kernel: in float32 inside, rounded once at the end.

    transformers rounds before the weight too, so that the two may be a unit of the last place apart.
    """
    with torch.autocast(x.device.type, enabled=False):  # which would widen what goes in and comes out
        return functional.rms_norm(x, (x.shape[-1],), weight.to(x.dtype), eps)


@shorter
def norm_forward(self: Any, hidden_states: Tensor) -> Tensor:
    """Forward of an RMSNorm layer in float32, or in half precision on a GPU; else as transformers does it."""
    if hidden_states.is_cuda and hidden_states.dtype in HALF and not self.weight.requires_grad:
        return half_norm(hidden_states, self.weight, self.variance_epsilon)
    covered = hidden_states.dtype == torch.float32 == self.weight.dtype and not self.weight.requires_grad
    if not covered:
        return type(self).forward(self, hidden_states)  # type: ignore[no-any-return]
    out: Tensor = _Norm.apply(hidden_states, self.weight, self.variance_epsilon)  # type: ignore[no-untyped-call]
    return out


def join_norms(model: nn.Module) -> None:
    """Gives every RMSNorm layer of a known class the forward above. May be called again."""
    for module in model.modules():
        if type(module).__name__ in KNOWN:
            shorten(module, norm_forward)
