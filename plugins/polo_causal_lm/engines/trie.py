"""Titles as a tree of tokens, cut into branches that fit a pass. Knows token ids; knows no model and no prompt.

A node is a beginning that some title goes on from; the root is the empty one. An edge is a token that follows a node:
titles that begin alike share nodes and edges, and all edges out of a node are predicted by one hidden state. A title's
score is the sum over the edges on its path, the last of which is the end token, which leads to no node.

Titles are sorted, so each one adds nodes at the end of the path of the one before it, and a run of sorted titles needs
no node of another run but the path to its first title. A tree is therefore cut into runs, each a tree by itself: what
two neighbours share is computed twice (a path, a few nodes), and in return nothing is kept from one branch to the next.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from polo import IntArray

#: stands where a title has no more tokens; token ids are never negative
_NONE = -1


@dataclass(frozen=True)
class Branch:
    """A tree of n titles with N nodes and M edges. Node 0 is the root; parents stand before their children.

    Args:
        titles: ``[n]`` which titles.
        tokens: ``[N]`` the token that leads to each node; of the root 0, in whose place the prompt's last token is fed.
        depth: ``[N]`` tokens between the root and each node.
        path: ``[N, D]`` each node's path: the root, ..., the node itself at column ``depth``; 0 behind it.
        state: ``[M]`` the node that each edge leaves; ascending.
        token: ``[M]`` the token of each edge.
        slots: ``[n, L]`` the edges of each title, padded with M.
    """

    titles: IntArray
    tokens: IntArray
    depth: IntArray
    path: IntArray
    state: IntArray
    token: IntArray
    slots: IntArray

    def __len__(self) -> int:
        return len(self.tokens)


class Trie:
    """The tree of many titles.

    Args:
        titles: n arrays of token ids, each with the end token.

    Attributes:
        order: ``[n]`` titles as they are sorted.
        lengths: ``[n]`` tokens of each, in that order, as all that follows.
        tokens: ``[n, L]`` their tokens, padded with -1.
        alike: ``[n]`` tokens that each shares with the one before it.

    Example (5 2 and 5 6 2 share their first token; the nodes are the root, 5 and 5 6):
        >>> (branch,) = Trie([np.array([5, 6, 2]), np.array([5, 2])]).branches(10)
        >>> branch.titles.tolist(), branch.tokens.tolist(), branch.path.tolist()
        ([1, 0], [0, 5, 6], [[0, 0, 0], [0, 1, 0], [0, 1, 2]])
        >>> branch.state.tolist(), branch.token.tolist(), branch.slots.tolist()
        ([0, 1, 1, 2], [5, 2, 6, 2], [[0, 1, 4], [0, 2, 3]])
    """

    def __init__(self, titles: Sequence[IntArray]) -> None:
        # Big-endian bytes sort as the numbers do, and a beginning before what goes on from it.
        keys = [title.astype(">u4").tobytes() for title in titles]
        self.order = np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64)
        self.lengths = np.array([len(titles[i]) for i in self.order], np.int64)
        inside = np.arange(int(self.lengths.max(initial=0))) < self.lengths[:, None]
        self.tokens = np.full(inside.shape, _NONE, np.int32)
        self.tokens[inside] = np.concatenate([titles[i] for i in self.order])
        alike = np.zeros(len(self.order), np.int64)
        same = np.logical_and.accumulate(self.tokens[1:] == self.tokens[:-1], axis=1)
        alike[1:] = np.minimum(same.sum(1), self.lengths[1:])
        self.alike = alike
        # The last token of the title before leads to no node yet; it may, if the end token stands within a title.
        before = np.concatenate([[0], self.lengths[:-1] - 1])
        self._added = self.lengths - 1 - np.minimum(np.minimum(alike, before), self.lengths - 1)

    @property
    def nodes(self) -> int:
        """How many nodes the whole tree has."""
        return 1 + int(self._added.sum())

    def branches(self, most: int) -> list[Branch]:
        """The tree in as few runs of titles as ``most`` nodes a run allow; one title alone may have more."""
        added = np.cumsum(self._added)
        found, start = [], 0
        while start < len(self.order):
            # The first title of a run brings its whole path, and the root stands in every run.
            own = int(self.lengths[start])
            stop = int(np.searchsorted(added, added[start] + most - own, side="right"))
            found.append(self._branch(start, max(stop, start + 1)))
            start = max(stop, start + 1)
        return found

    def _branch(self, start: int, stop: int) -> Branch:
        tokens, lengths = self.tokens[start:stop], self.lengths[start:stop, None]
        width = int(lengths.max())
        tokens, column = tokens[:, :width], np.arange(width)
        alike = self.alike[start:stop, None].copy()
        alike[0] = 0
        new = (column >= alike) & (column < lengths)
        # An edge is numbered where it is first met; below that, titles that share it have it in the same column.
        numbers = np.cumsum(new).reshape(new.shape) - 1
        edge = np.maximum.accumulate(np.where(new, numbers, -1), axis=0)
        count = int(new.sum())
        leads = np.zeros(count, np.bool_)
        leads[edge[column < lengths - 1]] = True
        node = np.zeros(count, np.int64)
        node[leads] = 1 + np.arange(int(leads.sum()))
        row, place = np.nonzero(new)
        leaves = np.where(place == 0, 0, node[edge[row, place - 1]])
        by_state = np.argsort(leaves, kind="stable")
        rank = np.empty(count + 1, np.int64)
        rank[by_state], rank[count] = np.arange(count), count
        slots = rank[np.where(column < lengths, edge, count)]
        inner = np.flatnonzero(leads)
        depth = np.concatenate([[0], place[inner] + 1])
        deepest = int(depth.max())
        path = np.zeros((len(depth), deepest + 1), np.int64)
        path[1:, 1:] = node[edge[row[inner], :deepest]] * (np.arange(deepest) <= place[inner, None])
        fed = np.concatenate([[0], tokens[row[inner], place[inner]]]).astype(np.int64)
        token = tokens[row, place][by_state].astype(np.int64)
        return Branch(self.order[start:stop], fed, depth, path, leaves[by_state], token, slots)
