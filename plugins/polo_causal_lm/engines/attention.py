"""Attention over a flat row of many prompts and titles, in two exact forms. Knows places and masks; knows no model.

Both split the work in the same two parts: prompt queries meet prompt keys causally and without a mask (the fast
kernels), title queries meet their prompt and their own title under a mask. :class:`RowByRow` makes one call a row and
part, without padding: best where a call is cheap beside its arithmetic (CPU). :class:`Batched` pads rows to one length
and makes two calls in all: best where calls are dear (GPU).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Span:
    """Where one row lies in the flat row: its prompt in ``[start, middle)``, its titles in ``[middle, stop)``.

    ``lengths`` are the tokens fed of each of its titles, in order.
    """

    start: int
    middle: int
    stop: int
    lengths: IntArray


@runtime_checkable
class FlatAttention(Protocol):
    """Attention of flat rows, prepared for one layout."""

    def attend(
        self,
        query: Float[Tensor, "1 h t d"],
        key: Float[Tensor, "1 h t d"],
        value: Float[Tensor, "1 h t d"],
        dropout: float,
        scaling: float | None,
    ) -> Float[Tensor, "1 h t d"]: ...


def title_mask(prompt: int, lengths: IntArray) -> npt.NDArray[np.bool_]:
    """Which keys the title queries of one row may see: the whole prompt, and their own title up to themselves.

    Args:
        prompt: prompt tokens.
        lengths: ``[n]`` tokens fed of each title.

    Returns:
        ``[q, prompt + q]``, q the sum of ``lengths``.

    Example:
        >>> title_mask(1, np.array([2, 1])).astype(int).tolist()
        [[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 1]]
    """
    total = int(lengths.sum())
    owner, place = np.repeat(np.arange(len(lengths)), lengths), np.arange(total)
    own = (owner[:, None] == owner[None, :]) & (place[:, None] >= place[None, :])
    return np.concatenate([np.ones((total, prompt), dtype=np.bool_), own], axis=1)


class RowByRow:
    """Two calls a row, no padding.

    Args:
        spans: the rows.
        device: where masks are put.
    """

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        self.spans = spans
        self.masks: list[Bool[Tensor, "q k"]] = [
            torch.from_numpy(title_mask(span.middle - span.start, span.lengths)).to(device) for span in spans
        ]

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, dropout: float, scaling: float | None
    ) -> Float[Tensor, "1 h t d"]:
        # one split of each tensor: slices taken one by one would each add a whole-length gradient in the backward pass
        sizes = [span.stop - span.start for span in self.spans]
        rows = zip(self.spans, self.masks, *(x.split(sizes, dim=2) for x in (query, key, value)), strict=True)
        outputs = []
        for span, mask, q, k, v in rows:
            p = span.middle - span.start
            outputs.append(
                functional.scaled_dot_product_attention(
                    q[:, :, :p], k[:, :, :p], v[:, :, :p], dropout_p=dropout, is_causal=True, scale=scaling
                )
            )
            if span.stop > span.middle:
                outputs.append(
                    functional.scaled_dot_product_attention(
                        q[:, :, p:], k, v, attn_mask=mask, dropout_p=dropout, scale=scaling
                    )
                )
        return torch.cat(outputs, dim=2)


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
        self.rows, self.prompt, self.title = len(spans), int(prompts.max()), int(titles.max())
        width = self.prompt + self.title
        # Padded places read token 0; nothing reads what becomes of them, so they get no gradient either.
        places = np.zeros((len(spans), width), np.int64)
        back = np.zeros(spans[-1].stop, np.int64)
        mask = np.zeros((len(spans), 1, self.title, width), dtype=np.bool_)
        mask[..., 0] = True  # a padded query must see something: softmax of nothing is NaN
        for b, span in enumerate(spans):
            p, t = int(prompts[b]), int(titles[b])
            columns = np.concatenate([np.arange(p), self.prompt + np.arange(t)])
            places[b, columns] = np.arange(span.start, span.stop)
            back[span.start : span.stop] = b * width + columns
            mask[b, 0, :t, columns] = title_mask(p, span.lengths).T
        self.places: Int[Tensor, " padded"] = torch.from_numpy(places.reshape(-1)).to(device)
        self.back: Int[Tensor, " t"] = torch.from_numpy(back).to(device)
        self.mask: Bool[Tensor, "b 1 q k"] = torch.from_numpy(mask).to(device)

    def attend(
        self, query: Tensor, key: Tensor, value: Tensor, dropout: float, scaling: float | None
    ) -> Float[Tensor, "1 h t d"]:
        q, k, v = (self._rows(x) for x in (query, key, value))
        p = self.prompt
        outputs = [
            functional.scaled_dot_product_attention(
                q[:, :, :p], k[:, :, :p], v[:, :, :p], dropout_p=dropout, is_causal=True, scale=scaling
            )
        ]
        if self.title:
            outputs.append(
                functional.scaled_dot_product_attention(
                    q[:, :, p:], k, v, attn_mask=self.mask, dropout_p=dropout, scale=scaling
                )
            )
        padded = torch.cat(outputs, dim=2).transpose(0, 1).flatten(1, 2)
        return padded.index_select(1, self.back)[None]

    def _rows(self, states: Float[Tensor, "1 h t d"]) -> Float[Tensor, "b h s d"]:
        flat = states[0].index_select(1, self.places)
        return flat.unflatten(1, (self.rows, -1)).transpose(0, 1)
