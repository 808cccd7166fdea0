"""Nodes that may be expanded next, best first. Knows bounds and item numbers; knows no tree and no model.

Order: the higher bound first; of equal bounds the one with the smaller item below it. A catalogue's root has ten
thousands of children of which a search looks at a few, so children stay unsorted until their turn may come.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from polo import FloatArray, IntArray

#: children of one node that are sorted at a time
PORTION = 64


class Open(NamedTuple):
    """An unexpanded node.

    Args:
        bound: no title below it scores higher.
        least: smallest item below it.
        node: its number.
        logp: log-probability of the beginning that it is.
        titles: wanted titles below it.
        scale: what its log-probability is divided by to give the bound.
    """

    bound: float
    least: int
    node: int
    logp: float
    titles: int
    scale: int


class _Run:
    """Nodes that came together, best first: some sorted, the rest as they came."""

    def __init__(self, columns: tuple[FloatArray | IntArray, ...]) -> None:
        self._sorted: list[Open] = []
        self._rest = columns

    def pop(self) -> Open | None:
        if not self._sorted:
            self._sort_some()
        return self._sorted.pop() if self._sorted else None

    def _sort_some(self) -> None:
        bound, least = self._rest[:2]
        best = np.ones(len(bound), np.bool_)
        if len(bound) > PORTION:
            # Equal bounds stay together: which of them is first depends on their items.
            best = bound >= np.partition(bound, len(bound) - PORTION)[len(bound) - PORTION]
        order = np.flatnonzero(best)[np.lexsort((-least[best], bound[best]))]
        self._sorted = [Open(*one) for one in zip(*(column[order].tolist() for column in self._rest), strict=True)]
        self._rest = tuple(column[~best] for column in self._rest)


class Frontier:
    """All unexpanded nodes of one search.

    Example:
        >>> frontier, one = Frontier(), np.array([1, 1])
        >>> frontier.add(np.array([-2.0, -1.0]), np.array([4, 7]), np.array([8, 9]), np.array([-2.0, -1.0]), one, one)
        >>> best = frontier.pop()
        >>> best.node, frontier.peek().node
        (9, 8)
        >>> frontier.put_back([best])
        >>> frontier.peek().node
        9
    """

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, int, Open, _Run | None]] = []
        self._count = 0

    def add(
        self,
        bound: FloatArray,
        least: IntArray,
        node: IntArray,
        logp: FloatArray,
        titles: IntArray,
        scale: IntArray,
    ) -> None:
        """Adds nodes that came together, a column for each field of :class:`Open`."""
        run = _Run((bound, least, node, logp, titles, scale))
        self._push(run.pop(), run)

    def peek(self) -> Open | None:
        """The first node, which stays."""
        return self._heap[0][3] if self._heap else None

    def pop(self) -> Open:
        """Takes the first node out; there must be one."""
        *_, node, run = heapq.heappop(self._heap)
        if run is not None:
            self._push(run.pop(), run)
        return node

    def put_back(self, nodes: Sequence[Open]) -> None:
        """Puts nodes in that were taken out."""
        for node in nodes:
            self._push(node, None)

    def _push(self, node: Open | None, run: _Run | None) -> None:
        if node is not None:
            self._count += 1
            heapq.heappush(self._heap, (-node.bound, node.least, self._count, node, run))
