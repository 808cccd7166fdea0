"""Engine ``split``: all rows of a pass in one flat row without padding; attention in two parts.

    prompt 0 | titles of 0 | prompt 1 | titles of 1 | ...

Every linear layer sees one dense matrix. Inside attention, a prompt's queries meet the prompt's keys on the causal
kernel without a mask, and its titles' queries meet prompt and titles under a small mask. The function is registered
with transformers' public attention interface and reads the layout from a forward argument; a forward without that
argument is ``sdpa``, so generation and the naive form work on the same model.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from polo import FloatArray, IntArray, sent
from polo_causal_lm.engines.attention import Asked, Batched, FlatAttention, RowByRow, Span
from polo_causal_lm.engines.base import Layout, hidden_states, title_scores
from polo_causal_lm.engines.head import head_logps
from polo_causal_lm.engines.layers import shorten_layers
from polo_causal_lm.engines.long_attention import InGroups, is_long
from polo_causal_lm.engines.lowrank import join_adapters
from polo_causal_lm.engines.norm import join_norms
from polo_causal_lm.text import Encoded


class Split:
    """Flat rows, split attention.

    Args:
        attend: how attention is called; ``None`` takes :class:`InGroups` where titles are long, else :class:`Batched`
            on a GPU and :class:`RowByRow` elsewhere.
    """

    name = "split"
    #: the name under which the attention function is registered
    attention = "polo_split"

    def __init__(self, attend: type[RowByRow] | type[Batched] | type[InGroups] | None = None) -> None:
        self.attend = attend

    def layout(self, encoded: Encoded, device: torch.device) -> Layout:
        pieces = [piece for row in zip(encoded.prompts, encoded.titles, strict=True) for piece in _fed(*row)]
        lengths = np.array([len(piece) for piece in pieces]).reshape(len(encoded), -1)  # prompt, title 0, title 1, ...
        prompts, ends = lengths[:, 0], np.cumsum(lengths.sum(1))
        spans = [
            Span(int(end - row.sum()), int(end - row[1:].sum()), int(end), row[1:])
            for end, row in zip(ends, lengths, strict=True)
        ]
        # Titles start again where their prompt ends.
        begins = np.concatenate(
            [np.zeros_like(prompts)[:, None], np.repeat(prompts[:, None], lengths.shape[1] - 1, 1)], 1
        )
        shift = begins.reshape(-1) - (np.cumsum(lengths) - lengths.reshape(-1))
        ids = np.concatenate(pieces)
        positions = np.arange(len(ids)) + np.repeat(shift, lengths.reshape(-1))
        flat, where = (sent(x, device)[None] for x in (ids, positions))
        # Any 4-D mask is handed through as it is; the attention function does not read it. Without one, transformers
        # would build a mask of its own for the whole flat row.
        unread = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
        short = Batched if device.type == "cuda" else RowByRow
        attend = self.attend or (InGroups if is_long(spans) else short)
        places = np.concatenate([np.arange(span.middle - 1, span.stop) for span in spans])
        scored = title_scores(encoded.titles, places, (len(encoded), len(encoded.titles[0])), device)
        return Layout(flat, where, unread, scored, {"polo_attention": attend(spans, device)})

    def scores(self, model: nn.Module, layout: Layout) -> Float[Tensor, "b n"]:
        return head_logps(model, hidden_states(model, layout), layout.scored)

    def cost(self, prompts: IntArray, titles: float | FloatArray, n: int) -> IntArray:
        cost: IntArray = np.ceil(prompts + n * (titles - 1)).astype(np.int64)
        return cost


def _fed(prompt: IntArray, titles: Sequence[IntArray]) -> list[IntArray]:
    """What of a row is fed to the model: all but the end tokens, which are only ever predicted."""
    return [prompt, *(title[:-1] for title in titles)]


def enable_split(lm: Any, *, shorten: bool = True) -> None:
    """Registers the attention function and makes a transformers model use it.

    Args:
        lm: the model, inside peft or not.
        shorten: also put shorter, equal forms in the place of layers that are known (see ``layers``, ``norm`` and
            ``lowrank``). Layers whose forward somebody has replaced already stay as they are.
    """
    AttentionInterface.register(Split.attention, split_attention)
    AttentionMaskInterface.register(Split.attention, sdpa_mask)
    lm.set_attn_implementation(Split.attention)
    if shorten:
        shorten_layers(lm)
        join_norms(lm)
        join_adapters(lm)


def split_attention(
    module: nn.Module,
    query: Float[Tensor, "b h t d"],
    key: Float[Tensor, "b hkv s d"],
    value: Float[Tensor, "b hkv s d"],
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    **kwargs: Any,
) -> tuple[Float[Tensor, "b t h d"], None]:
    """Attention in transformers' calling convention (which is why further keywords are taken).

    Args:
        module: the attention layer.
        query, key, value: rotated already.
        attention_mask: not read where ``polo_attention`` is given.
        dropout, scaling: as the layer says.
        kwargs: ``polo_attention`` (from :class:`Split`), and what other attention functions take.
    """
    flat: FlatAttention | None = kwargs.pop("polo_attention", None)
    if flat is None:
        output: tuple[Tensor, None] = sdpa_attention_forward(
            module, query, key, value, attention_mask, dropout=dropout, scaling=scaling, **kwargs
        )
        return output
    asked = Asked(module, dropout, scaling, kwargs.get("sliding_window"))
    return flat.attend(query, key, value, asked), None
