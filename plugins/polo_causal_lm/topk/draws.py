"""Draws of titles by what the model would write if it could write titles of the catalogue alone. Knows no model.

    q(title) = product over its tokens of p(token | what stands before) / sum of p over the tokens that may stand there

A token may stand there if some title that may be drawn goes on with it; so items that are left out cost no draw. One
title after the other is drawn, each in proportion to q among those that are left, in one walk down the tree: with a
Gumbel variable on each title, the first draw is the largest of ``log q + Gumbel``, the second the next largest, and the
largest one below a node is a Gumbel variable around the node's own ``log q``, so that nodes are looked at only where
the next draws are (Kool et al., stochastic beam search, arXiv 1903.06059, sec. 4). No draw is rejected or repeated.

Where titles end and others go on after the same tokens, as many share the probability as there are titles.
"""

from __future__ import annotations

import heapq

import numpy as np

from polo import FloatArray, IntArray, PoloError, RowRandom
from polo_causal_lm.topk.titles import TitleTree

#: (minus the perturbed log q, whether it is a node, its number or the item's, log q), so that the largest comes first
_Entry = tuple[float, bool, int, float]


class Draws:
    """Asks for nodes (:meth:`wanted`), is told what follows them (:meth:`tell`), until it asks for none.

    Args:
        tree: the catalogue.
        k: how many titles are drawn; all that may be, where these are fewer.
        without: items that are left out.
        rng: randomness of this row alone.

    Example (both titles have the same probability after the common token 5, which is certain among titles):
        >>> tree = TitleTree.of([np.array([5, 6, 2]), np.array([5, 7, 2])])
        >>> draws = Draws(tree, 2, np.array([], np.int64), RowRandom(0))
        >>> while nodes := draws.wanted():
        ...     for node in nodes:
        ...         draws.tell(node, np.log(np.full(tree.child[node + 1] - tree.child[node], 0.25)))
        >>> sorted(draws.items.tolist()), np.exp(draws.logq).tolist()
        ([0, 1], [0.5, 0.5])
    """

    def __init__(self, tree: TitleTree, k: int, without: IntArray, rng: RowRandom) -> None:
        self._tree, self._k, self._rng = tree, k, rng
        self._free = ~np.isin(tree.order, without)
        self._before = np.append(0, np.cumsum(self._free))
        #: how many items may be drawn
        self.allowed = int(self._before[-1])
        self._heap: list[_Entry] = [(0.0, True, 0, 0.0)] if self.allowed else []
        self._asked: dict[int, tuple[float, float]] = {}
        self._found: list[tuple[int, float]] = []

    def wanted(self) -> list[int]:
        """The nodes that are looked at next: those that hold one of the next draws, as far as that is known."""
        while self._heap and not self._heap[0][1] and len(self._found) < self._k:
            _, _, item, logq = heapq.heappop(self._heap)
            self._found.append((item, logq))
        first = [heapq.heappop(self._heap) for _ in range(min(self._k - len(self._found), len(self._heap)))]
        for entry in first:
            perturbed, inner, number, logq = entry
            if inner:
                self._asked[number] = (-perturbed, logq)
            else:
                heapq.heappush(self._heap, entry)
        return [number for _, inner, number, _ in first if inner]

    def tell(self, node: int, logps: FloatArray) -> None:
        """What follows a node that was asked for.

        Args:
            node: its number.
            logps: log-probability of each child's token, in the order of the children.

        Raises:
            PoloError: one of them is NaN.
        """
        if np.isnan(logps).any():
            raise PoloError("the model finds a title token likely to the degree NaN", fix="look at its weights")
        largest, logq = self._asked.pop(node)
        tree, first = self._tree, int(self._tree.child[node])
        children = np.arange(first, first + len(logps))
        low, high = (one[children].astype(np.int64) for one in (tree.low, tree.high))
        ends = self._count(low, low + tree.ends[children])
        below = self._count(low + tree.ends[children], high)
        open_ = ends + below > 0
        own = logq + _log_shares(logps[open_])
        entries: list[tuple[bool, int, float]] = []
        for child, q, end, rest in zip(children[open_], own, ends[open_], below[open_], strict=True):
            each = q - np.log(end + rest) if end else q
            entries += [(False, int(item), float(each)) for item in self._ending(int(child))] if end else []
            entries += [(True, int(child), float(each + np.log(rest) if end else q))] if rest else []
        logqs = np.array([one for *_, one in entries])
        chance = self._rng.child("node", node).uniform(np.zeros(1, np.int64), len(entries))[0]
        for (inner, number, q), perturbed in zip(entries, _below(largest, logqs, chance), strict=True):
            heapq.heappush(self._heap, (-float(perturbed), inner, number, q))

    @property
    def items(self) -> IntArray:
        """What was drawn, in the order of the draws."""
        return np.array([item for item, _ in self._found], dtype=np.int64)

    @property
    def logq(self) -> FloatArray:
        """``log q`` of each, as if it were the first draw."""
        return np.array([logq for _, logq in self._found])

    def _count(self, low: IntArray, high: IntArray) -> IntArray:
        """Items that may be drawn, of places ``low`` to ``high - 1``."""
        counted: IntArray = self._before[high] - self._before[low]
        return counted

    def _ending(self, node: int) -> IntArray:
        """The items that end at a node and may be drawn."""
        places = slice(int(self._tree.low[node]), int(self._tree.low[node]) + int(self._tree.ends[node]))
        return self._tree.order[places][self._free[places]]


def _log_shares(logps: FloatArray) -> FloatArray:
    """Shares of the sum; equal ones where all are impossible.

    Example:
        >>> np.exp(_log_shares(np.log([0.1, 0.3]))).round(4).tolist()
        [0.25, 0.75]
    """
    top = logps.max()
    if not np.isfinite(top):
        return np.full(len(logps), -np.log(len(logps)))
    shares: FloatArray = logps - (top + np.log(np.exp(logps - top).sum()))
    return shares


def _below(largest: float, logqs: FloatArray, chance: FloatArray) -> FloatArray:
    """Gumbel variables around ``logqs``, given that the largest of them is ``largest``.

    ``-log(exp(-largest) - exp(-Z) + exp(-G))`` with G the free variables and Z the largest of them, in the form that
    loses no digits (arXiv 1903.06059, appendix B.3).
    """
    with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
        free = logqs - np.log(-np.log(np.clip(chance, 2.0**-54, None)))
        v = largest - free + np.log1p(-np.exp(free - free.max()))
        found = largest - np.maximum(v, 0.0) - np.log1p(np.exp(-np.abs(v)))
    found[np.argmax(free)] = largest
    return np.where(np.isneginf(logqs), -np.inf, found)
