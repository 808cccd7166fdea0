"""Scores of many titles behind one prompt, without gradient: the prompt once, then the tree of its titles in branches.

    log p(title) = sum over the tokens t_j of the title of log p(t_j | prompt, t_0 .. t_(j-1))

A beginning that titles share is computed once, and its hidden state predicts all tokens that follow it anywhere. What
is held at a time is one pass of at most ``budget`` tokens and the keys and values of the prompts that it goes on with:
never the logits, keys or values of the whole tree.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polo import IntArray, sent
from polo_causal_lm.engines.base import Layout, Scored
from polo_causal_lm.engines.tree_attention import Memory, Segment, TreeAttention
from polo_causal_lm.engines.trie import Branch, Trie
from polo_causal_lm.text import Encoded


@dataclass(frozen=True)
class TreePass:
    """One forward pass: its layout, and to which row and title each of its scores belongs."""

    layout: Layout
    rows: IntArray
    titles: IntArray


def tree_passes(encoded: Encoded, budget: int, device: torch.device) -> Iterator[TreePass]:
    """The passes over rows and their titles; each must be computed before the next one is asked for.

    Args:
        encoded: prompts of at least one token, and their titles. Rows whose titles are one and the same list object
            (a catalogue) share one tree.
        budget: tokens of a pass. A prompt that fills more than half of it goes beyond it.
        device: where tensors are put.
    """
    waiting: list[tuple[int, Segment]] = []
    spent = 0
    for row, segment in _segments(encoded, budget):
        size = len(segment.branch) + (segment.prompt if segment.fresh else 0)
        if waiting and spent + size > budget:
            yield _pass(encoded, waiting, device)
            waiting, spent = [], 0
        waiting.append((row, segment))
        spent += size
    if waiting:
        yield _pass(encoded, waiting, device)


def tree_scores(
    module: Callable[[Layout], Tensor], encoded: Encoded, budget: int, device: torch.device
) -> Float[Tensor, "b n"]:
    """Sums of log-probabilities of all titles of all rows, by ``module``, which computes a layout ``[1, titles]``.

    Args:
        module: in evaluation mode; called once a pass, without gradient.
        encoded: prompts and titles, as in :func:`tree_passes`; every row has as many titles.
        budget: tokens of a pass.
        device: of the module.
    """
    found: Tensor | None = None
    with torch.no_grad():
        for one in tree_passes(encoded, budget, device):
            scores = module(one.layout)[0]
            if found is None:
                found = scores.new_empty(len(encoded), len(encoded.titles[0]))
            rows, titles = (sent(x, device) for x in (one.rows, one.titles))
            found[rows, titles] = scores
    if found is None:
        raise ValueError("no rows")
    return found


def _segments(encoded: Encoded, budget: int) -> Iterator[tuple[int, Segment]]:
    """Row by row: the prompt with the first branch, then the other branches."""
    longest = max(len(prompt) for prompt in encoded.prompts)
    most = max(budget - longest, budget // 2)
    branches: list[Branch] = []
    previous: Sequence[IntArray] | None = None
    for row, (prompt, titles) in enumerate(zip(encoded.prompts, encoded.titles, strict=True)):
        if titles is not previous:
            branches, previous = Trie(titles).branches(most), titles
        memory: Memory | None = {} if len(branches) > 1 else None
        for i, branch in enumerate(branches):
            yield row, Segment(len(prompt) - 1, i == 0, branch, memory)


def _pass(encoded: Encoded, segments: Sequence[tuple[int, Segment]], device: torch.device) -> TreePass:
    ids, positions, places, states, tokens, slots = [], [], [], [], [], []
    at = nodes = edges = 0
    width = max(segment.branch.slots.shape[1] for _, segment in segments)
    total = sum(len(segment.branch.token) for _, segment in segments)
    for row, segment in segments:
        prompt, branch = encoded.prompts[row], segment.branch
        if segment.fresh:
            ids.append(prompt[:-1])
            positions.append(np.arange(segment.prompt))
            at += segment.prompt
        # The root is the prompt's last token, fed with every branch: its state predicts the first tokens of titles.
        ids += [prompt[-1:], branch.tokens[1:]]
        positions.append(segment.prompt + branch.depth)
        places.append(at + np.arange(len(branch)))
        states.append(nodes + branch.state)
        tokens.append(branch.token)
        own = np.where(branch.slots == len(branch.token), total, edges + branch.slots)
        slots.append(np.pad(own, ((0, 0), (0, width - own.shape[1])), constant_values=total))
        at, nodes, edges = at + len(branch), nodes + len(branch), edges + len(branch.token)
    flat, where, place, state, token = (
        sent(np.concatenate(x), device) for x in (ids, positions, places, states, tokens)
    )
    slot = sent(np.concatenate(slots), device)[None]
    scored = Scored(place, state, token, slot, torch.ones_like(token, dtype=torch.bool))
    # Any 4-D mask is handed through as it is; the attention function does not read it.
    unread = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
    attention = TreeAttention([segment for _, segment in segments], device)
    layout = Layout(flat[None], where[None], unread, scored, {"polo_attention": attention})
    rows = np.repeat([row for row, _ in segments], [len(segment.branch.titles) for _, segment in segments])
    return TreePass(layout, rows, np.concatenate([segment.branch.titles for _, segment in segments]))
