"""Runs searches of many rows on a model: which nodes of which rows stand in a pass, and what is kept between passes.

Prompts are computed once, in passes of ``budget`` tokens; then every pass holds the nodes that all unfinished rows want
next. Rows are taken in groups whose prompts, with a few slots each, fit into ``memory`` bytes; slots grow from there as
long as memory lasts.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from polo import FloatArray, IntArray, sent
from polo_causal_lm.engines.base import Layout, Scored
from polo_causal_lm.topk.attention import Fed, NodeAttention, PromptAttention
from polo_causal_lm.topk.memory import KeyMemory, Slots
from polo_causal_lm.topk.titles import TitleTree

#: slots that a row has before it asks for more
SLOTS = 32


@dataclass(frozen=True)
class Machine:
    """What computes, and how much of it at a time.

    Args:
        module: computes a layout to ``[1, scores]``; in evaluation mode.
        device: of the module.
        budget: tokens of a pass; one row may go beyond it.
        memory: bytes of keys and values that are kept; one row may go beyond it.
    """

    module: Callable[[Layout], Tensor]
    device: torch.device
    budget: int
    memory: int


@runtime_checkable
class Asks(Protocol):
    """What looks for something in a tree: the best titles, or drawn ones."""

    def wanted(self) -> list[int]:
        """The nodes that it must know of next; none: it is over."""

    def tell(self, node: int, logps: FloatArray) -> None:
        """Log-probabilities of the children of a node that it asked for."""


@dataclass
class _Row:
    """A row that is being searched."""

    prompt: IntArray
    search: Asks
    slots: Slots = field(default_factory=Slots)
    waiting: list[int] = field(default_factory=list)


def find(
    machine: Machine, token_bytes: int, tree: TitleTree, prompts: Sequence[IntArray], searches: Sequence[Asks]
) -> None:
    """Brings all searches to their end.

    Args:
        machine: what computes.
        token_bytes: bytes of one token's keys and values over all layers.
        tree: that of the searches.
        prompts: B arrays of at least one token.
        searches: B fresh searches.
    """
    rows = [_Row(prompt, search) for prompt, search in zip(prompts, searches, strict=True) if search.wanted()]
    if not rows:
        return
    deepest = int(tree.longest[0]) - 1
    longest = max(len(row.prompt) for row in rows)
    places = machine.memory // token_bytes
    size = max(1, places // (longest + max(SLOTS, deepest)))
    with torch.no_grad():
        for start in range(0, len(rows), size):
            _Group(machine, places, tree, rows[start : start + size]).run()


class _Group:
    """Rows whose keys and values are kept together."""

    def __init__(self, machine: Machine, places: int, tree: TitleTree, rows: list[_Row]) -> None:
        self._machine, self._tree, self._rows = machine, tree, rows
        lengths = np.array([len(row.prompt) for row in rows])
        least = max(1, int(tree.longest[0]) - 1)
        self._most = max(least, places // len(rows) - int(lengths.max()))
        self._memory = KeyMemory(lengths, min(self._most, max(least, SLOTS)))

    def run(self) -> None:
        self._prompts()
        while self._unfinished():
            self._nodes()

    def _unfinished(self) -> int:
        """Rows that want something; the others are forgotten."""
        for i in reversed(range(len(self._rows))):
            row = self._rows[i]
            row.waiting = row.waiting or row.search.wanted()
            if not row.waiting:
                self._memory.drop(i)
                self._rows[i] = self._rows[-1]
                self._rows.pop()
        return len(self._rows)

    def _prompts(self) -> None:
        lengths = np.array([len(row.prompt) for row in self._rows])
        start = 0
        while start < len(lengths):
            stop = max(
                start + 1, int(np.searchsorted(np.cumsum(lengths[start:]), self._machine.budget, "right")) + start
            )
            rows, own = self._rows[start:stop], lengths[start:stop]
            attention = PromptAttention(self._memory, start, own, self._machine.device)
            positions = np.concatenate([np.arange(n) for n in own])
            self._pass(np.concatenate([row.prompt for row in rows]), positions, attention, [(row, 0) for row in rows])
            start = stop

    def _nodes(self) -> None:
        """One pass over what rows wait for, as much of it as fits."""
        chosen: list[tuple[int, list[int], list[int]]] = []
        spent = 0
        for i, row in enumerate(self._rows):
            taken, closed = self._take(row)
            cost = len(row.slots.missing(closed))
            if chosen and spent + cost > self._machine.budget:
                break
            spent += cost
            chosen.append((i, taken, closed))
        needed = max(len(self._rows[i].slots.missing(closed)) + len(self._rows[i].slots) for i, _, closed in chosen)
        if needed > self._memory.slots and self._memory.slots < self._most:
            self._memory.grow(min(self._most, max(needed, 2 * self._memory.slots)))
        fed, expanded = self._feed(chosen)
        nodes = [node for _, node in fed]
        attention_input = self._fed(fed, expanded)
        attention = NodeAttention(self._memory, attention_input, self._machine.device)
        self._pass(
            self._tree.token[nodes].astype(np.int64), attention_input.position, attention,
            [(self._rows[i], node) for i, node in itertools.compress(fed, expanded)],
        )  # fmt: skip
        for i, taken, _ in chosen:
            self._rows[i].waiting = self._rows[i].waiting[len(taken) :]

    def _take(self, row: _Row) -> tuple[list[int], list[int]]:
        """What a row waits for first, and all nodes on the way there, parents first: no more than slots allow."""
        taken: list[int] = []
        closed: set[int] = set()
        for node in row.waiting:
            wider = closed.union(self._tree.path(node))
            if taken and len(wider) > self._most:
                break
            taken, closed = [*taken, node], wider
        return taken, sorted(closed)  # nodes are numbered level by level

    def _feed(self, chosen: list[tuple[int, list[int], list[int]]]) -> tuple[list[tuple[int, int]], list[bool]]:
        """(row, node) of all that is computed, and whether it was asked for (else it is made again for a path)."""
        fed: list[tuple[int, int]] = []
        expanded: list[bool] = []
        for i, taken, closed in chosen:
            asked = set(taken)
            for node in self._rows[i].slots.place(closed, self._memory.slots):
                fed.append((i, node))
                expanded.append(node in asked)
        return fed, expanded

    def _fed(self, fed: list[tuple[int, int]], expanded: list[bool]) -> Fed:
        width, rows = self._memory.width, self._rows
        row, column = np.array([i for i, _ in fed]), np.zeros(len(fed), np.int64)
        counts = np.zeros(len(rows), np.int64)
        for t, i in enumerate(row):
            column[t] = counts[i]
            counts[i] += 1
        lengths = np.array([len(one.prompt) for one in rows])
        depth = self._tree.depth[[node for _, node in fed]].astype(np.int64)
        place = np.array([width + rows[i].slots.at(node) for i, node in fed])
        shape = (len(rows), int(counts.max()), width + self._memory.slots)
        sees = np.zeros(shape, np.bool_)
        sees[:, :, :width] = np.arange(width) < lengths[:, None, None]
        places = np.broadcast_to(np.arange(shape[2]), (shape[0], shape[2])).copy()
        for t, (i, node) in enumerate(fed):
            for step in self._tree.path(node):
                at = width + rows[i].slots.at(step)
                sees[i, column[t], at] = True
                places[i, at] = lengths[i] - 1 + self._tree.depth[step]
        return Fed(row, column, place, lengths[row] - 1 + depth, sees, places, np.flatnonzero(expanded))

    def _pass(
        self,
        ids: IntArray,
        positions: IntArray,
        attention: PromptAttention | NodeAttention,
        expanded: Sequence[tuple[_Row, int]],
    ) -> None:
        """Computes a pass, and tells each search what follows its nodes."""
        tree, device = self._tree, self._machine.device
        edges = [slice(int(tree.child[node]), int(tree.child[node + 1])) for _, node in expanded]
        counts = np.array([one.stop - one.start for one in edges])
        token = np.concatenate([tree.token[one] for one in edges]).astype(np.int64)
        state = np.repeat(np.arange(len(edges)), counts)
        flat, where, states, tokens = (sent(x, device) for x in (ids, positions, state, token))
        slots = torch.arange(len(token), device=device)[None, :, None]
        scored = Scored(attention.last, states, tokens, slots, torch.ones_like(tokens, dtype=torch.bool))
        # Any 4-D mask is handed through as it is; the attention function does not read it.
        unread = torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device)
        layout = Layout(flat[None], where[None], unread, scored, {"polo_attention": attention})
        found = self._machine.module(layout)[0].double().cpu().numpy()
        for (row, node), logps in zip(expanded, np.split(found, np.cumsum(counts)[:-1]), strict=True):
            row.search.tell(node, logps)
