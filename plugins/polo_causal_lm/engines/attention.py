"""Attention over a flat row of many prompts and titles, in two exact forms. Knows places and masks; knows no model.

Both split the work in the same two parts: prompt queries meet prompt keys causally and without a mask (the fast
kernels), title queries meet their prompt and their own title under a mask. :class:`RowByRow` makes one call a row and
part, without padding: best where a call is cheap beside its arithmetic (CPU). :class:`Batched` pads rows to one length
and makes two calls in all: best where calls are dear (GPU). A third form, for long titles, is in ``long_attention``.

In the last layer only the places that predict something need an output: each prompt's last token and all titles.
``attend_last`` takes queries of these places alone; keys and values are those of all places.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional

from polo import IntArray, sent


@dataclass(frozen=True)
class Span:
    """Where one row lies in the flat row: its prompt in ``[start, middle)``, its titles in ``[middle, stop)``.

    ``lengths`` are the tokens fed of each of its titles, in order.
    """

    start: int
    middle: int
    stop: int
    lengths: IntArray


@dataclass(frozen=True)
class Asked:
    """What a layer asks of its attention.

    Args:
        layer: the attention layer, for forms that keep keys and values.
        dropout: on attention weights.
        scaling: of the products of queries and keys; ``None``: head size to the power -1/2.
        window: a query sees keys at less than this distance; ``None``: all before it.
    """

    layer: nn.Module
    dropout: float
    scaling: float | None
    window: int | None = None


@runtime_checkable
class FlatAttention(Protocol):
    """Attention of flat rows, prepared for one layout. Keys and values may have fewer heads than queries."""

    #: the places that predict something, ascending: s of the t
    last: Int[Tensor, " s"]

    def attend(
        self,
        query: Float[Tensor, "1 h t d"],
        key: Float[Tensor, "1 hkv t d"],
        value: Float[Tensor, "1 hkv t d"],
        asked: Asked,
    ) -> Float[Tensor, "1 t h d"]: ...

    def attend_last(
        self,
        query: Float[Tensor, "1 h s d"],
        key: Float[Tensor, "1 hkv t d"],
        value: Float[Tensor, "1 hkv t d"],
        asked: Asked,
    ) -> Float[Tensor, "1 s h d"]: ...


def last_mask(prompt: int, lengths: IntArray) -> npt.NDArray[np.bool_]:
    """Which keys of its row the prompt's last query (first line) and the title queries (the others) may see.

    The prompt's last token sees the prompt; a title token sees the prompt and its own title up to itself.

    Args:
        prompt: prompt tokens.
        lengths: ``[n]`` tokens fed of each title.

    Returns:
        ``[1 + q, prompt + q]``, q the sum of ``lengths``.

    Example:
        >>> last_mask(1, np.array([2, 1])).astype(int).tolist()
        [[1, 0, 0, 0], [1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]]
    """
    total = int(lengths.sum())
    owner, place = np.repeat(np.arange(len(lengths)), lengths), np.arange(total)
    mask = np.ones((1 + total, prompt + total), dtype=np.bool_)
    mask[0, prompt:] = False
    mask[1:, prompt:] = (owner[:, None] == owner[None, :]) & (place[:, None] >= place[None, :])
    return mask


def last_places(spans: Sequence[Span], device: torch.device) -> Int[Tensor, " s"]:
    """Flat places of what predicts something: of each row the prompt's last token and all of its titles'."""
    places = np.concatenate([np.arange(span.middle - 1, span.stop) for span in spans])
    return sent(places, device)


class RowByRow:
    """Two calls a row, no padding.

    Args:
        spans: the rows.
        device: where masks are put.
    """

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        self.last = last_places(spans, device)
        self._rows = [span.stop - span.start for span in spans]
        self._titles = [span.stop - span.middle for span in spans]
        self._parts = [n for span in spans for n in (span.middle - span.start, span.stop - span.middle)]
        allowed = [sent(last_mask(span.middle - span.start, span.lengths), device) for span in spans]
        # Additive masks: boolean ones would be turned into these in every call.
        self._masks: list[Float[Tensor, "q k"]] = [
            torch.zeros(mask.shape, device=device).masked_fill_(~mask, -torch.inf) for mask in allowed
        ]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 t h d"]:
        # One split of each tensor: slices taken one by one would each add a whole-length gradient in the backward pass.
        queries = iter(query.split(self._parts, dim=2))
        outputs = []
        for mask, k, v in zip(self._masks, *self._split(key, value), strict=True):
            # Causal from the upper left corner: a prompt query never meets the titles that follow its prompt.
            outputs.append(sdpa(next(queries), k, v, None, asked))
            titles = next(queries)
            if titles.shape[2]:
                outputs.append(sdpa(titles, k, v, mask[1:], asked))
        return torch.cat(outputs, dim=1)

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 s h d"]:
        queries = query.split([1 + n for n in self._titles], dim=2)
        rows = zip(self._masks, queries, *self._split(key, value), strict=True)
        return torch.cat([sdpa(q, k, v, mask, asked) for mask, q, k, v in rows], dim=1)

    def _split(self, *tensors: Tensor) -> list[tuple[Tensor, ...]]:
        return [x.split(self._rows, dim=2) for x in tensors]


class Batched:
    """Two calls for all rows, padded to the longest.

    Padding is on the right, so causal prompt queries never meet it; title queries are kept from it by the mask.

    Args:
        spans: the rows.
        device: where masks and places are put.
    """

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        prompts = np.array([span.middle - span.start for span in spans])
        titles = np.array([span.stop - span.middle for span in spans])
        self.last = last_places(spans, device)
        self.rows, self.prompt, self.title = len(spans), int(prompts.max()), int(titles.max())
        width = self.prompt + self.title
        # Padded places read token 0; nothing reads what becomes of them, so they get no gradient either. Every token
        # has one place in the padded rows, so a gradient is picked from there, where torch would add up places.
        places = np.zeros((len(spans), width), np.int64)
        back = np.zeros(spans[-1].stop, np.int64)
        mask = np.zeros((len(spans), 1, 1 + self.title, width), dtype=np.bool_)
        mask[..., 0] = True  # a padded query must see something: softmax of nothing is NaN
        last = np.zeros((len(spans), 1 + self.title), np.int64)
        back_last, at = np.zeros(int((1 + titles).sum()), np.int64), 0
        for b, span in enumerate(spans):
            p, t = int(prompts[b]), int(titles[b])
            columns = np.concatenate([np.arange(p), self.prompt + np.arange(t)])
            places[b, columns] = np.arange(span.start, span.stop)
            back[span.start : span.stop] = b * width + columns
            mask[b, 0, : 1 + t, columns] = last_mask(p, span.lengths).T
            last[b, : 1 + t] = at + np.arange(1 + t)
            back_last[at : at + 1 + t] = b * (1 + self.title) + np.arange(1 + t)
            at += 1 + t
        self.places, self.back, self._last, self._back_last = (
            sent(x.reshape(-1), device) for x in (places, back, last, back_last)
        )
        self.mask: Bool[Tensor, "b 1 q k"] = sent(mask, device)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 t h d"]:
        key, value = all_heads(query, key, value)
        q, k, v = (self._padded(x, self.places, self.back) for x in (query, key, value))
        p = self.prompt
        outputs = [sdpa(q[:, :, :p], k[:, :, :p], v[:, :, :p], None, asked)]
        if self.title:
            outputs.append(sdpa(q[:, :, p:], k, v, self.mask[:, :, 1:], asked))
        return _flattened(torch.cat(outputs, dim=1), self.back)

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 s h d"]:
        key, value = all_heads(query, key, value)
        q = self._padded(query, self._last, self._back_last)
        k, v = (self._padded(x, self.places, self.back) for x in (key, value))
        return _flattened(sdpa(q, k, v, self.mask, asked), self._back_last)

    def _padded(self, states: Float[Tensor, "1 h t d"], places: Tensor, back: Tensor) -> Float[Tensor, "b h s d"]:
        # places first in memory, as the layer's product has left them
        flat: Tensor = _Pick.apply(states[0].transpose(0, 1), places, back)  # type: ignore[no-untyped-call]
        return flat.view(self.rows, -1, *flat.shape[1:]).transpose(1, 2)


class _Pick(torch.autograd.Function):
    """``x[places]`` where ``x[i]`` is read at ``back[i]`` and elsewhere only by what gets no gradient."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "t h d"], places: Int[Tensor, " p"], back: Int[Tensor, " t"]) -> Tensor:
        ctx.save_for_backward(back)
        return x.index_select(0, places)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "p h d"]) -> tuple[Tensor, None, None]:
        (back,) = ctx.saved_tensors
        return grad.index_select(0, back), None, None


class _Flatten(torch.autograd.Function):
    """``x[back]`` for places that differ: the gradient is put there, and nothing elsewhere."""

    @staticmethod
    def forward(ctx: Any, x: Float[Tensor, "p h d"], back: Int[Tensor, " t"]) -> Tensor:
        ctx.save_for_backward(back)
        ctx.places = len(x)
        return x.index_select(0, back)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, "t h d"]) -> tuple[Tensor, None]:
        (back,) = ctx.saved_tensors
        return grad.new_zeros(ctx.places, *grad.shape[1:]).index_copy_(0, back, grad), None


def _flattened(padded: Float[Tensor, "b q h d"], back: Int[Tensor, " t"]) -> Float[Tensor, "1 t h d"]:
    flat: Tensor = _Flatten.apply(padded.flatten(0, 1), back)  # type: ignore[no-untyped-call]
    return flat[None]


def all_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values repeated for the queries that share them; GPU kernels with a mask ask for it."""
    share = query.shape[1] // key.shape[1]
    if share == 1:
        return key, value
    return key.repeat_interleave(share, dim=1), value.repeat_interleave(share, dim=1)


def sdpa(
    query: Float[Tensor, "b h q d"],
    key: Float[Tensor, "b hkv k d"],
    value: Float[Tensor, "b hkv k d"],
    mask: Tensor | None,
    asked: Asked,
) -> Float[Tensor, "b q h d"]:
    """Causal where no mask is given. ``[b, q, h, d]`` is how the kernels lay their output out."""
    if mask is not None and mask.dtype != torch.bool:
        mask = mask.to(query.dtype)
    return functional.scaled_dot_product_attention(
        query,
        key,
        value,
        attn_mask=mask,
        dropout_p=asked.dropout,
        is_causal=mask is None,
        scale=asked.scaling,
        enable_gqa=query.shape[1] != key.shape[1],
    ).transpose(1, 2)
