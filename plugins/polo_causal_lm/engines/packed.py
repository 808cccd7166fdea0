"""Engine ``packed``: one row a prompt, its candidates behind it, a 4-D mask. Uses the model's public forward alone.

    prompt | title0[:-1] | title1[:-1] | ...      position ids restart after the prompt for every title

A query attends to a key that stands before it in the prompt or in its own title. The end token is only ever predicted,
so it is not fed, and one hidden state (the prompt's last) predicts the first token of all titles. Prefix sharing for
pairs: Wang & Hegde, arXiv 2410.20305.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from polo import FloatArray, IntArray, sent
from polo_causal_lm.engines.base import Layout, hidden_states, title_scores
from polo_causal_lm.engines.head import head_logps
from polo_causal_lm.engines.masks import model_mask
from polo_causal_lm.text import Encoded

#: segment numbers in a packed row: titles count from 0
PROMPT, PADDING = -1, -2


class Packed:
    """Prompt and candidates in one padded row.

    Args:
        config: the model's config.
        windows: of each kind of layer, from :func:`~polo_causal_lm.engines.masks.layer_windows`.
        dtype: of the model, for additive masks.
    """

    name = "packed"

    def __init__(self, config: Any, windows: Mapping[str, int | None], dtype: torch.dtype) -> None:
        self.config, self.windows, self.dtype = config, windows, dtype

    def layout(self, encoded: Encoded, device: torch.device) -> Layout:
        lengths = [
            len(prompt) + sum(len(title) - 1 for title in titles)
            for prompt, titles in zip(encoded.prompts, encoded.titles, strict=True)
        ]
        shape = (len(encoded), max(lengths))
        ids, positions = np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        segments = np.full(shape, PADDING, np.int64)
        places = []
        for b, (prompt, titles) in enumerate(zip(encoded.prompts, encoded.titles, strict=True)):
            at = len(prompt)
            ids[b, :at], positions[b, :at], segments[b, :at] = prompt, np.arange(at), PROMPT
            places.append(b * shape[1] + np.arange(at - 1, lengths[b]))
            for j, title in enumerate(titles):
                inside = slice(at, at + len(title) - 1)
                ids[b, inside], segments[b, inside] = title[:-1], j
                positions[b, inside] = len(prompt) + np.arange(len(title) - 1)
                at += len(title) - 1
        where = sent(positions, device)
        mask = model_mask(allowed_pairs(sent(segments, device)), where, self.windows, self.config, self.dtype)
        scored = title_scores(encoded.titles, np.concatenate(places), (len(encoded), len(encoded.titles[0])), device)
        return Layout(sent(ids, device), where, mask, scored)

    def scores(self, model: nn.Module, layout: Layout) -> Float[Tensor, "b n"]:
        return head_logps(model, hidden_states(model, layout), layout.scored)

    def cost(self, prompts: IntArray, titles: float | FloatArray, n: int) -> IntArray:
        cost: IntArray = np.ceil(prompts + n * (titles - 1)).astype(np.int64)
        return cost


def allowed_pairs(segments: Tensor) -> Tensor:
    """Bool ``[b, s, s]``: which key each query may see, from segment numbers ``[b, s]``.

    A padded place sees itself, so that no row of the mask is empty (softmax of nothing is NaN).

    Example:
        >>> allowed_pairs(torch.tensor([[PROMPT, 0, 1, PADDING]])).int().tolist()
        [[[1, 0, 0, 0], [1, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 1]]]
    """
    query, key = segments[:, :, None], segments[:, None, :]
    place = torch.arange(segments.shape[1], device=segments.device)
    causal = place[:, None] >= place[None, :]
    seen = causal & ((key == PROMPT) | (key == query)) & (query != PADDING)
    return seen | (place[:, None] == place[None, :])
