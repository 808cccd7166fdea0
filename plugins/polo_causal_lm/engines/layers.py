"""Decoder layers of the Llama form over flat rows: a shorter rotation, and a last layer that leaves out what nobody
reads. Knows Llama, Mistral, Qwen2 and Qwen3, whose layers are

    x + o(attend(rot(q), rot(k), v)), q, k, v from norm(x);    x + down(act(gate) up), gate, up from norm(x)

In the last layer a prompt token is read by titles through its key and value only; its query, attention output and
feed-forward part go nowhere, except for the prompt's last token, which predicts. The forward here computes them for the
places that predict something and hands on these alone. A forward without ``polo_attention`` is transformers' own.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from polo_causal_lm.engines.attention import Asked, FlatAttention
from polo_causal_lm.engines.shorter import shorten, shorter

#: families whose decoder layers are those of the formula above
KNOWN = ("Llama", "Mistral", "Qwen2", "Qwen3")


class _Rotate(torch.autograd.Function):
    """``x cos + rotate_half(x) sin``; a linear map of x, so nothing of x is kept."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
        ctx.save_for_backward(cos, sin)
        half = x.shape[-1] // 2
        out = x * cos
        out[..., :half].addcmul_(x[..., half:], sin[..., :half], value=-1)
        out[..., half:].addcmul_(x[..., :half], sin[..., half:])
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:
        cos, sin = ctx.saved_tensors
        half = grad.shape[-1] // 2
        out = grad * cos
        out[..., :half].addcmul_(grad[..., half:], sin[..., half:])
        out[..., half:].addcmul_(grad[..., :half], sin[..., :half], value=-1)
        return out, None, None


def rotate(x: Float[Tensor, "1 t h d"], cos: Float[Tensor, "1 t d"], sin: Float[Tensor, "1 t d"]) -> Tensor:
    """Rotary position embedding (RoFormer, arXiv 2104.09864) of heads that lie side by side.

    Example (a quarter turn of the pair (1, 0)):
        >>> rotate(torch.tensor([[[[1.0, 0.0]]]]), torch.zeros(1, 1, 2), torch.ones(1, 1, 2)).tolist()
        [[[[0.0, 1.0]]]]
    """
    out: Tensor = _Rotate.apply(x, cos[:, :, None], sin[:, :, None])  # type: ignore[no-untyped-call]
    return out


def _attend(
    attention: Any, x: Tensor, asking: Tensor, at: Tensor | None, rotary: tuple[Tensor, Tensor], flat: FlatAttention
) -> Tensor:
    """Attention of the queries of ``asking`` (``x`` at the places ``at``, or all of it) to all of ``x``."""
    shape = (*x.shape[:-1], -1, attention.head_dim)
    query = attention.q_proj(asking).view(*asking.shape[:-1], -1, attention.head_dim)
    key, value = attention.k_proj(x).view(shape), attention.v_proj(x).view(shape)
    if hasattr(attention, "q_norm"):
        query, key = attention.q_norm(query), attention.k_norm(key)
    cos, sin = rotary
    own = (cos, sin) if at is None else (cos.index_select(1, at), sin.index_select(1, at))
    query = rotate(query, *own)
    key = rotate(key, cos, sin)
    asked = Asked(attention, attention.attention_dropout if attention.training else 0.0, attention.scaling)
    attend = flat.attend if at is None else flat.attend_last
    heads = attend(query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), asked)
    output: Tensor = attention.o_proj(heads.flatten(2))
    return output


@shorter
def attention_forward(self: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> tuple[Tensor, None]:
    """Forward of an attention layer; transformers' own where no flat rows are given."""
    flat, rotary = kwargs.get("polo_attention"), kwargs.get("position_embeddings")
    if flat is None or rotary is None or args:
        return type(self).forward(self, hidden_states, *args, **kwargs)  # type: ignore[no-any-return]
    return _attend(self, hidden_states, hidden_states, None, rotary, flat), None


@shorter
def last_forward(self: Any, hidden_states: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """Forward of the last layer: the states of ``polo_attention.last`` only, ``[1, s, h]``."""
    flat, rotary = kwargs.get("polo_attention"), kwargs.get("position_embeddings")
    if flat is None or rotary is None or args:
        return type(self).forward(self, hidden_states, *args, **kwargs)  # type: ignore[no-any-return]
    x = self.input_layernorm(hidden_states)
    at = flat.last
    states = hidden_states.index_select(1, at)
    states = states + _attend(self.self_attn, x, x.index_select(1, at), at, rotary, flat)
    return states + self.mlp(self.post_attention_layernorm(states))  # type: ignore[no-any-return]


def shorten_layers(lm: Any) -> None:
    """Gives the layers of a transformers model the forwards above if they are known. May be called again."""
    layers = list(getattr(lm.get_decoder(), "layers", ()))
    family = type(layers[-1]).__name__.removesuffix("DecoderLayer") if layers else ""
    attentions: list[Any] = [getattr(layer, "self_attn", None) for layer in layers]
    if family not in KNOWN or any(type(attention).__name__ != f"{family}Attention" for attention in attentions):
        return
    for attention in attentions:
        shorten(attention, attention_forward)
    shorten(layers[-1], last_forward)
