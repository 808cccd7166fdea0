"""Attention of prompts that are kept, and of nodes to what is kept. Knows places and masks; knows no search.

Both follow :class:`~polo_causal_lm.engines.attention.FlatAttention`. A node sees its prompt, the nodes on its path and
itself; nodes of all rows meet their keys in one call, padded to the row with the most nodes.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn import functional

from polo import BoolArray, IntArray, sent
from polo_causal_lm.engines.attention import Asked
from polo_causal_lm.engines.tree_attention import causal
from polo_causal_lm.topk.memory import KeyMemory


class PromptAttention:
    """Prompts in one flat row, each by itself; their keys and values are kept.

    Args:
        memory: where.
        first: number of the first prompt's row there; the others follow it.
        prompts: tokens of each.
        device: where places are put.
    """

    def __init__(self, memory: KeyMemory, first: int, prompts: IntArray, device: torch.device) -> None:
        self._memory, self._lengths = memory, prompts.tolist()
        rows = np.repeat(first + np.arange(len(prompts)), prompts)
        places = np.concatenate([np.arange(n) for n in self._lengths])
        self._rows, self._places = (sent(x, device) for x in (rows, places))
        self.last = sent(np.cumsum(prompts) - 1, device)

    def attend(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 t h d"]:
        self._memory.write(asked.layer, self._rows, self._places, key[0], value[0])
        split = zip(*(x[0].split(self._lengths, dim=1) for x in (query, key, value)), strict=True)
        return torch.cat([causal(q, k, v, asked) for q, k, v in split])[None]

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 s h d"]:
        self._memory.write(asked.layer, self._rows, self._places, key[0], value[0])
        found = []
        for i, (k, v) in enumerate(zip(*(x[0].split(self._lengths, dim=1) for x in (key, value)), strict=True)):
            if asked.window is not None:
                k, v = k[:, -asked.window :], v[:, -asked.window :]
            found.append(_grouped(query[:, :, i : i + 1], k[None], v[None], None, asked)[0])
        return torch.cat(found)[None]


@dataclass(frozen=True)
class Fed:
    """The t nodes of a pass, and what each may see.

    Args:
        row: ``[t]`` of each node, in the memory.
        column: ``[t]`` its number among the nodes of its row.
        place: ``[t]`` where its key and value are kept: the memory's width and its slot.
        position: ``[t]`` its position id.
        sees: ``[B, q, W + S]`` the places that the q-th node of a row sees, itself included; without one the prompt.
        places: ``[B, W + S]`` position id of what is kept in each place; of no account where nothing is.
        last: ``[s]`` those of the nodes that predict something, ascending.
    """

    row: IntArray
    column: IntArray
    place: IntArray
    position: IntArray
    sees: BoolArray
    places: IntArray
    last: IntArray


class NodeAttention:
    """Nodes of a pass to the memory, in which they are kept too.

    Args:
        memory: holds the prompts, and the nodes on each path that are not fed.
        fed: the nodes.
        device: where places and masks are put.
    """

    def __init__(self, memory: KeyMemory, fed: Fed, device: torch.device) -> None:
        self._memory = memory
        self._row, self._column, self._place, self.last = (
            sent(x, device) for x in (fed.row, fed.column, fed.place, fed.last)
        )
        self._sees: Bool[Tensor, "b q s"] = sent(fed.sees, device)
        # A padded query stands at 0, so that it sees the prompt's first token at least: softmax of nothing is NaN.
        position = np.zeros(fed.sees.shape[:2], np.int64)
        position[fed.row, fed.column] = fed.position
        self._distance = position[..., None] - fed.places[:, None]
        self._masks: dict[int | None, Bool[Tensor, "b q s"]] = {None: self._sees}

    def attend(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 t h d"]:
        return self._all(query, key, value, self._row, self._column, asked)

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 s h d"]:
        return self._all(query, key, value, self._row[self.last], self._column[self.last], asked)

    def _all(
        self, query: Tensor, key: Tensor, value: Tensor, row: Tensor, column: Tensor, asked: Asked
    ) -> Float[Tensor, "1 s h d"]:
        keys, values = self._memory.write(asked.layer, self._row, self._place, key[0], value[0])
        padded = query.new_zeros(*self._sees.shape[:2], query.shape[1], query.shape[3])
        padded[row, column] = query[0].transpose(0, 1)
        found = _grouped(padded.transpose(1, 2), keys, values, self._mask(asked.window), asked)
        return found[row, column][None]

    def _mask(self, window: int | None) -> Bool[Tensor, "b q s"]:
        if window is not None and window not in self._masks:
            self._masks[window] = self._sees & sent(self._distance < window, self._sees.device)
        return self._masks[window]


def _grouped(
    query: Float[Tensor, "b h q d"],
    key: Float[Tensor, "b hkv s d"],
    value: Float[Tensor, "b hkv s d"],
    mask: Bool[Tensor, "b q s"] | None,
    asked: Asked,
) -> Float[Tensor, "b q h d"]:
    """Attention in which heads that share keys stand as further queries: no key is repeated, any kernel will do."""
    b, h, q, d = query.shape
    share = h // key.shape[1]
    stacked = query.reshape(b, key.shape[1], share * q, d)
    wide = mask if mask is None or share == 1 else mask.repeat(1, share, 1)
    wide = None if wide is None else wide[:, None]
    found = functional.scaled_dot_product_attention(stacked, key, value, attn_mask=wide, scale=asked.scaling)
    return found.reshape(b, h, q, d).transpose(1, 2)
