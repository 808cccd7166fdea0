"""Attention over prompts and trees of titles in one flat row, without gradient. Knows places; knows no model.

    prompt 0 (but its last token) | root and nodes of 0 | prompt 1 | root and nodes of 1 | ...

A node sees its prompt and its own path, the root (the prompt's last token) and itself included. Prompt tokens meet
each other on the causal kernel. Nodes meet all keys of their prompt as one matrix product, and the few keys of their
path, gathered node by node, as many small ones; one softmax runs over both. So the work grows with the nodes, where a
mask over all pairs of title tokens would grow with their square.

A prompt's keys and values may be kept, by layer, and a later pass over more nodes of the same prompt starts from them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from polo import sent
from polo_causal_lm.engines.attention import Asked
from polo_causal_lm.engines.trie import Branch

#: products of queries and keys, and gathered keys, that are held at a time: 32 MB in float32
ENTRIES = 1 << 23

#: nodes are taken together up to so many columns of their paths, then up to twice as many, and so on: a few long titles
#: (catalogues have some of 200 tokens) must not make all paths long
COLUMNS = 8

#: keys and values of a prompt, ``[heads, tokens, size]`` each, by attention layer
Memory = dict[nn.Module, tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Segment:
    """What a pass holds of one prompt.

    Args:
        prompt: tokens of the prompt without its last one.
        fresh: whether they stand in this pass; else keys and values are read from ``memory``.
        branch: the nodes.
        memory: where keys and values of a fresh prompt are kept; ``None`` where no later pass needs them.
    """

    prompt: int
    fresh: bool
    branch: Branch
    memory: Memory | None


@dataclass(frozen=True)
class _Paths:
    """Nodes of a branch by the length of their paths.

    Args:
        order: ``[N]`` nodes, those with short paths first.
        back: ``[N]`` where in ``order`` each node stands.
        groups: consecutive runs of ``order``: ``path [m, columns]`` and ``depth [m]`` of each.
    """

    order: Tensor
    back: Tensor
    groups: Sequence[tuple[Tensor, Tensor]]

    @classmethod
    def of(cls, branch: Branch, device: torch.device) -> _Paths:
        order = np.argsort(branch.depth, kind="stable")
        depth, deepest = branch.depth[order], int(branch.depth.max())
        columns = [COLUMNS << i for i in range(max(1, (deepest // COLUMNS).bit_length() + 1))]
        edges = [0, *np.searchsorted(depth, columns).tolist()]
        groups = [
            (branch.path[order[start:stop], : min(width, deepest + 1)], depth[start:stop])
            for width, (start, stop) in zip(columns, itertools.pairwise(edges), strict=True)
            if stop > start
        ]
        back = np.argsort(order)
        on = [tuple(sent(np.ascontiguousarray(x), device) for x in group) for group in groups]
        return cls(sent(order, device), sent(back, device), [(a, b) for a, b in on])


class TreeAttention:
    """Follows :class:`~polo_causal_lm.engines.attention.FlatAttention`; for evaluation mode, so without dropout.

    Args:
        segments: the prompts and their nodes, in the order in which they stand in the flat row.
        device: where places are put.
    """

    def __init__(self, segments: Sequence[Segment], device: torch.device) -> None:
        self._segments = segments
        self._lengths = [n for one in segments for n in (one.prompt if one.fresh else 0, len(one.branch))]
        ends = np.cumsum(self._lengths)
        places = [np.arange(end - len(segment.branch), end) for end, segment in zip(ends[1::2], segments, strict=True)]
        self.last = sent(np.concatenate(places), device)
        # Rows of a catalogue share their branches, and the tensors made of them.
        made = {id(segment.branch): segment.branch for segment in segments}
        paths = {name: _Paths.of(branch, device) for name, branch in made.items()}
        self._paths = [paths[id(segment.branch)] for segment in segments]

    def attend(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 t h d"]:
        return self._all(list(query[0].split(self._lengths, dim=1)), key[0], value[0], asked)

    def attend_last(self, query: Tensor, key: Tensor, value: Tensor, asked: Asked) -> Float[Tensor, "1 s h d"]:
        nodes = query[0].split([len(segment.branch) for segment in self._segments], dim=1)
        nothing = query[0, :, :0]
        return self._all([q for own in nodes for q in (nothing, own)], key[0], value[0], asked)

    def _all(
        self, queries: list[Tensor], key: Float[Tensor, "hkv t d"], value: Float[Tensor, "hkv t d"], asked: Asked
    ) -> Float[Tensor, "1 s h d"]:
        keys, values = key.split(self._lengths, dim=1), value.split(self._lengths, dim=1)
        found = []
        for i, (segment, path) in enumerate(zip(self._segments, self._paths, strict=True)):
            before = (keys[2 * i], values[2 * i])
            if segment.fresh:
                if queries[2 * i].shape[1]:
                    found.append(causal(queries[2 * i], *before, asked))
                if segment.memory is not None:
                    # Copies: what is kept must not hold the keys and values of the whole pass.
                    segment.memory[asked.layer] = (before[0].clone(), before[1].clone())
            elif segment.memory is not None:
                before = segment.memory[asked.layer]
            found.append(_nodes(queries[2 * i + 1], before, (keys[2 * i + 1], values[2 * i + 1]), path, asked))
        return torch.cat(found)[None]


def causal(
    query: Float[Tensor, "h p d"], key: Float[Tensor, "hkv p d"], value: Float[Tensor, "hkv p d"], asked: Asked
) -> Float[Tensor, "p h d"]:
    """A prompt's tokens among themselves: each sees itself and those before it, as far as the window reaches."""
    mask, p = None, query.shape[1]
    if asked.window is not None and asked.window < p:
        place = torch.arange(p, device=query.device)
        distance = place[:, None] - place
        mask = (distance >= 0) & (distance < asked.window)
    return functional.scaled_dot_product_attention(
        query[None],
        key[None],
        value[None],
        attn_mask=mask,
        is_causal=mask is None,
        scale=asked.scaling,
        enable_gqa=query.shape[0] != key.shape[0],
    )[0].transpose(0, 1)


def _nodes(
    query: Float[Tensor, "h n d"],
    before: tuple[Float[Tensor, "hkv p d"], Float[Tensor, "hkv p d"]],
    own: tuple[Float[Tensor, "hkv n d"], Float[Tensor, "hkv n d"]],
    paths: _Paths,
    asked: Asked,
) -> Float[Tensor, "n h d"]:
    """Attention of nodes, some at a time, so that no more than :data:`ENTRIES` products are held."""
    # Products and softmax in float32 at least, as the fused kernels do it; they are few beside the linear layers'.
    wide = torch.promote_types(query.dtype, torch.float32)
    before = (before[0].to(wide), before[1].to(wide))
    keys, values = (x.transpose(0, 1).to(wide).contiguous() for x in own)  # [n, hkv, d]: a node's heads side by side
    sorted_query, start, found = query.index_select(1, paths.order), 0, []
    for path, depth in paths.groups:
        columns = path.shape[1]
        products = query.shape[0] * (before[0].shape[1] + columns)
        at_once = max(1, ENTRIES // (products + 2 * columns * keys.shape[1] * keys.shape[2]))
        for s in range(0, len(path), at_once):
            some = sorted_query[:, start + s : start + min(s + at_once, len(path))]
            with torch.autocast(query.device.type, enabled=False):
                found.append(_some(some, before, (keys, values), path[s : s + at_once], depth[s : s + at_once], asked))
        start += len(path)
    return torch.cat(found).index_select(0, paths.back).to(query.dtype)


def _some(
    query: Float[Tensor, "h q d"],
    before: tuple[Tensor, Tensor],
    own: tuple[Tensor, Tensor],
    path: Tensor,
    depth: Tensor,
    asked: Asked,
) -> Float[Tensor, "q h d"]:
    (h, q, d), (kv, p, _) = query.shape, before[0].shape
    share, columns = h // kv, path.shape[1]
    query = query.to(before[0].dtype) * (d**-0.5 if asked.scaling is None else asked.scaling)
    grouped = query.reshape(kv, share, q, d)
    scores = query.new_empty(kv, share, q, p + columns)
    scores[..., :p] = (grouped.reshape(kv, share * q, d) @ before[0].transpose(1, 2)).view(kv, share, q, p)
    # [q, kv, share, d] x [q, kv, d, columns]
    scores[..., p:] = (grouped.permute(2, 0, 1, 3) @ own[0][path].permute(0, 2, 3, 1)).permute(1, 2, 0, 3)
    column = torch.arange(columns, device=depth.device)
    scores[..., p:].masked_fill_(column > depth[:, None], -torch.inf)  # behind the node there is no path
    if asked.window is not None:
        place = torch.arange(p + columns, device=depth.device)  # the root stands at p, a node at p + its depth
        scores.masked_fill_(p + depth[:, None] - place >= asked.window, -torch.inf)
    weights = torch.softmax(scores, -1)
    found = (weights[..., :p].reshape(kv, share * q, p) @ before[1]).view(kv, share, q, d).permute(2, 0, 1, 3)
    found = found + weights[..., p:].permute(2, 0, 1, 3) @ own[1][path].transpose(1, 2)
    return found.reshape(q, h, d)
