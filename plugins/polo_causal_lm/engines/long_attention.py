"""Attention over flat rows whose titles are long: each title meets its prompt and few others. Knows places and masks.

Beside one prompt all titles of a row are one block of queries and keys, in which a mask keeps them apart: what is
computed grows with the square of their tokens, and most of it is thrown away. Here neighbours make groups of a limited
length, and a group meets the prompt and itself. Nothing is padded, however unequal titles are.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polo import IntArray
from polo_causal_lm.engines.attention import Asked, Span, all_heads, last_mask, last_places, sdpa

#: tokens of a row's titles beyond which this form is taken, and of a group
LONG, TOGETHER = 512, 256


def is_long(spans: Sequence[Span]) -> bool:
    """Whether a row has titles for which this form is worth its further calls."""
    return any(int(span.lengths.sum()) > LONG for span in spans)


def groups(lengths: IntArray, most: int) -> list[IntArray]:
    """Neighbours of at most ``most`` tokens together, or one that is longer; titles of which nothing is fed are none.

    Example:
        >>> [group.tolist() for group in groups(np.array([3, 2, 0, 9, 1]), 5)]
        [[3, 2], [9], [1]]
    """
    found: list[list[int]] = []
    for length in lengths[lengths > 0].tolist():
        if not found or sum(found[-1]) + length > most:
            found.append([])
        found[-1].append(length)
    return [np.array(group, dtype=np.int64) for group in found]


class InGroups:
    """One call for a prompt and one for each group of its titles; follows ``FlatAttention``.

    Args:
        spans: the rows.
        device: where masks are put.
    """

    def __init__(self, spans: Sequence[Span], device: torch.device) -> None:
        self.last = last_places(spans, device)
        self._masks: list[list[Float[Tensor, "q k"]]] = []
        self._parts: list[int] = []
        self._asking: list[int] = []
        for span in spans:
            prompt, held = span.middle - span.start, groups(span.lengths, TOGETHER)
            sizes = [int(group.sum()) for group in held]
            self._parts += [prompt, *sizes]
            self._asking += [1, *sizes]
            # The first mask is that of the prompt's last token, which sees all of the prompt and no title.
            allowed = [np.ones((1, prompt), np.bool_), *(last_mask(prompt, group)[1:] for group in held)]
            masks = [torch.from_numpy(one).to(device) for one in allowed]
            self._masks.append(
                [torch.zeros(mask.shape, device=device).masked_fill_(~mask, -torch.inf) for mask in masks]
            )

    def attend(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 t h d"]:
        return self._all(query.split(self._parts, dim=2), query, key, value, asked, last=False)

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 s h d"]:
        return self._all(query.split(self._asking, dim=2), query, key, value, asked, last=True)

    def _all(
        self, queries: Sequence[Tensor], query: Tensor, key: Tensor, value: Tensor, asked: Asked, *, last: bool
    ) -> Tensor:
        if key.device.type == "cuda":  # whose kernels with a mask ask for it
            key, value = all_heads(query, key, value)
        parts = zip(queries, key.split(self._parts, dim=2), value.split(self._parts, dim=2), strict=True)
        outputs = []
        for first, *masks in self._masks:
            q, k, v = next(parts)
            outputs.append(sdpa(q, k, v, first if last else None, asked))
            for mask, (own_q, own_k, own_v) in zip(masks, parts, strict=False):
                both_k, both_v = torch.cat([k, own_k], dim=2), torch.cat([v, own_v], dim=2)
                outputs.append(sdpa(own_q, both_k, both_v, mask, asked))
        return torch.cat(outputs, dim=1)
