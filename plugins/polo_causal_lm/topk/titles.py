"""All titles of a catalogue as one tree whose nodes can be visited in any order. Knows token ids; knows no model.

A node is a beginning of titles, the root the empty one; the way to a node's child is one more token. A title ends at
the node of all its tokens (the end token included), and titles of the same tokens end at the same node. Nodes are
numbered level by level, so the children of a node stand side by side; the titles below a node stand side by side in the
sorted order of :class:`~polo_causal_lm.engines.trie.Trie`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from polo import IntArray
from polo_causal_lm.engines.trie import Trie

_Int32 = npt.NDArray[np.int32]


@dataclass(frozen=True)
class TitleTree:
    """n titles, N nodes; node 0 is the root. About 36 bytes a node.

    Args:
        order: ``[n]`` the item of each place of the sorted titles.
        lengths: int64 ``[n]`` by item, tokens of its title with the end token.
        token: ``[N]`` the token that leads to each node; -1 for the root.
        parent: ``[N]`` the node before it; the root's is the root.
        depth: ``[N]`` tokens from the root.
        child: ``[N + 1]`` children of a node are ``child[node] .. child[node + 1] - 1``.
        low, high: ``[N]`` titles below a node (those that end there included) are the places ``low .. high - 1``.
        ends: ``[N]`` titles that end there: the first so many of them.
        least: ``[N]`` smallest item below a node.
        longest: ``[N]`` tokens of the longest title below a node.

    Example (5 2, 5 6 2 and 5 2 again):
        >>> tree = TitleTree.of([np.array([5, 2]), np.array([5, 6, 2]), np.array([5, 2])])
        >>> tree.token.tolist(), tree.parent.tolist(), tree.child.tolist()
        ([-1, 5, 2, 6, 2], [0, 0, 1, 1, 3], [1, 2, 4, 4, 5, 5])
        >>> tree.order.tolist(), tree.low.tolist(), tree.high.tolist(), tree.ends.tolist()
        ([0, 2, 1], [0, 0, 0, 2, 2], [3, 3, 2, 3, 3], [0, 0, 2, 0, 1])
    """

    order: IntArray
    lengths: IntArray
    token: _Int32
    parent: _Int32
    depth: _Int32
    child: _Int32
    low: _Int32
    high: _Int32
    ends: _Int32
    least: _Int32
    longest: _Int32

    def __len__(self) -> int:
        return len(self.token)

    @property
    def inner(self) -> int:
        """Nodes that some title goes on from: those that scoring the whole tree computes."""
        return int((np.diff(self.child) > 0).sum())

    @functools.cached_property
    def alike(self) -> int:
        """Most titles of one text."""
        return int(self.ends.max(initial=0))

    @functools.cached_property
    def place(self) -> IntArray:
        """``[n]`` by item, its place among the sorted titles."""
        place = np.empty(len(self.order), np.int64)
        place[self.order] = np.arange(len(self.order))
        return place

    def way(self, item: int) -> list[int]:
        """The nodes from the root (which is first) to where an item's title ends.

        Example:
            >>> tree = TitleTree.of([np.array([5, 2]), np.array([5, 6, 2]), np.array([5, 2])])
            >>> tree.way(1), tree.way(2)
            ([0, 1, 3, 4], [0, 1, 2])
        """
        place, nodes = int(self.place[item]), [0]
        while place >= self.low[nodes[-1]] + self.ends[nodes[-1]]:
            first, after = int(self.child[nodes[-1]]), int(self.child[nodes[-1] + 1])
            nodes.append(first + int(np.searchsorted(self.low[first:after], place, side="right")) - 1)
        return nodes

    def path(self, node: int) -> list[int]:
        """The nodes from the root (left out) to ``node``."""
        found = []
        while node:
            found.append(node)
            node = int(self.parent[node])
        return found[::-1]

    @classmethod
    def of(cls, titles: Sequence[IntArray]) -> TitleTree:
        """The tree of a catalogue.

        Args:
            titles: n arrays of token ids, each with the end token.
        """
        trie, n = Trie(titles), len(titles)
        whole: npt.NDArray[np.int64] = np.array([0])
        levels: list[tuple[npt.NDArray[np.integer], ...]] = [(np.array([-1]), whole, whole, whole, np.array([n]), whole,
                   np.array([trie.order.min(initial=0)]), np.array([trie.lengths.max(initial=0)]))]  # fmt: skip
        before: npt.NDArray[np.int64] = whole
        first = 0  # where the nodes of the level above begin, and the number of its first node
        for depth in range(int(trie.lengths.max(initial=0))):
            # Titles part from the one before them; some of them have ended already, those begin no node.
            forks = np.flatnonzero(trie.alike <= depth)
            starts = trie.lengths[forks] > depth
            low = forks[starts]
            if not len(low):
                break
            parent = first + np.searchsorted(before, low, side="right") - 1
            levels.append((
                trie.tokens[low, depth],
                parent,
                np.full(len(low), depth + 1),
                low,
                np.append(forks[1:], n)[starts],
                np.add.reduceat(trie.lengths == depth + 1, forks)[starts],
                np.minimum.reduceat(trie.order, forks)[starts],
                np.maximum.reduceat(trie.lengths, forks)[starts],
            ))  # fmt: skip
            before, first = low, first + len(levels[-2][0])
        columns: list[_Int32] = [np.concatenate(column).astype(np.int32) for column in zip(*levels, strict=True)]
        token, parents, depths, lows, high, ends, least, longest = columns
        children = np.bincount(parents[1:], minlength=len(token))
        child = np.append(1, 1 + np.cumsum(children)).astype(np.int32)
        lengths = np.empty(n, np.int64)
        lengths[trie.order] = trie.lengths
        return cls(trie.order, lengths, token, parents, depths, child, lows, high, ends, least, longest)
