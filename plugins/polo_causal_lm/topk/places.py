"""Where given titles stand among all, exactly and without scoring all. Knows trees and log-probabilities; no model.

    above(title) = number of titles that score higher;  tied(title) = number of others that score the same

A title's own score costs the nodes on its way down. Below a node whose bound is lower than that score no title can
stand above it or beside it, so the nodes at or above it are all that its place needs (the bounds are those of
``topk.search``). The further down a title stands, the more of the tree that is: whoever asks may set a limit, after
which scoring everything is the way.

One row may be searched by several rankings at once; they share what is known of nodes.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from polo import BoolArray, FloatArray, IntArray
from polo_causal_lm.topk.frontier import Open
from polo_causal_lm.topk.search import Search, Wish
from polo_causal_lm.topk.titles import TitleTree


class Placing(Search):
    """A search for the K best titles that goes on until it knows where M given ones stand.

    Args:
        tree: the catalogue.
        wish: what is ranked.
        without: items that are left out, none of the given ones.
        logps: ``[M]`` log-probability of each given title, added up as :meth:`Search.tell` does.
        asked: ``[M]`` the items.
        exact: whether places behind the K best are found too.
    """

    def __init__(
        self, tree: TitleTree, wish: Wish, without: IntArray, logps: FloatArray, asked: IntArray, *, exact: bool
    ) -> None:
        #: of each given title
        self.score: FloatArray = logps / (tree.lengths[asked] if wish.ranking == "mean" else 1)
        self.above = np.zeros(len(asked), np.int64)
        self._same = np.zeros(len(asked), np.int64)
        self._exact = exact
        super().__init__(tree, wish, without)

    def wanted(self) -> list[int]:
        """The nodes that must be expanded next: first for the K best, then for the places."""
        if nodes := super().wanted():
            return nodes
        room, least, taken = self._room(), self._lowest(), list[Open]()
        while len(taken) < room and (node := self._frontier.peek()) is not None and node.bound >= least:
            taken.append(self._frontier.pop())
        return self._ask(taken)

    @property
    def tied(self) -> IntArray:
        """``[M]`` how many other titles score the same, as far as it is known."""
        return np.maximum(self._same - 1, 0)

    @property
    def sure(self) -> BoolArray:
        """``[M]`` whether ``above`` and ``tied`` are those of a ranking of all; else as many are above at least."""
        node = self._frontier.peek()
        sure = np.ones(len(self.score), np.bool_) if node is None else np.asarray(self.score > node.bound)
        # nodes below the K best were dropped, and with them what stands above titles that are further down
        return sure if self._exact else sure & (self.score >= super()._least())

    @property
    def over(self) -> bool:
        """Whether no node is left that the best, or a place that is wanted, depends on."""
        node = self._frontier.peek()
        return bool(self.proven.all()) and not self._asked and (node is None or node.bound < self._lowest())

    def _lowest(self) -> float:
        """The lowest score of a title whose place is wanted."""
        score = self.score if self._exact else self.score[self.score >= super()._least()]
        return float(score.min(initial=np.inf))

    def _least(self) -> float:
        return min(super()._least(), self._lowest())

    def _take_in(self, value: FloatArray, item: IntArray) -> None:
        super()._take_in(value, item)
        self.above += (value > self.score[:, None]).sum(axis=1)
        self._same += (value == self.score[:, None]).sum(axis=1)


class Places:
    """Asks for the nodes on the way to given titles, then for what a :class:`Placing` of each ranking wants.

    Args:
        tree: the catalogue.
        wishes: one for each ranking.
        without: items that are left out.
        asked: ``[M]`` the given items, none of them left out.
        exact: see :class:`Placing`.

    Example (three titles of one token and the end; the last one's place is wanted):
        >>> tree = TitleTree.of([np.array([5, 2]), np.array([6, 2]), np.array([7, 2])])
        >>> places = Places(tree, [Wish(1)], np.array([], np.int64), np.array([2]), exact=True)
        >>> places.wanted()
        [0, 3]
        >>> places.tell(0, np.log([0.5, 0.125, 0.25]))
        >>> places.tell(3, np.log([1.0]))
        >>> places.wanted()
        [1]
        >>> places.tell(1, np.log([1.0]))
        >>> places.wanted(), places.found[0].above.tolist(), places.found[0].tied.tolist()
        ([], [1], [0])
    """

    def __init__(
        self, tree: TitleTree, wishes: Sequence[Wish], without: IntArray, asked: IntArray, *, exact: bool
    ) -> None:
        self._tree, self._wishes, self._without = tree, wishes, without
        self._items, self._exact = asked, exact
        self._ways = [tree.way(int(item)) for item in asked]
        #: a search of each ranking, as soon as the given titles' scores are known
        self.found: list[Placing] = []
        self._known: dict[int, FloatArray] = {}
        self._waiting: list[set[int]] = []

    def wanted(self) -> list[int]:
        """The nodes that must be known next; none: every search is over."""
        if not self.found:
            if nodes := sorted({node for way in self._ways for node in way[:-1]} - set(self._known)):
                return nodes
            logps = np.array([self._logp(way) for way in self._ways])
            self.found = [
                Placing(self._tree, wish, self._without, logps, self._items, exact=self._exact) for wish in self._wishes
            ]
        self._waiting = [self._unknown(search) for search in self.found]
        return sorted(set().union(*self._waiting))

    def tell(self, node: int, logps: FloatArray) -> None:
        """What follows a node that was asked for; see :meth:`Search.tell`."""
        self._known[node] = logps
        for search, waiting in zip(self.found, self._waiting, strict=False):
            if node in waiting:
                search.tell(node, logps)

    @property
    def over(self) -> bool:
        """Whether all is found that was wanted; not if a limit of nodes came first."""
        return bool(self.found) and all(search.over for search in self.found)

    def _unknown(self, search: Placing) -> set[int]:
        """What a search wants that nobody has told yet; the rest it is told now."""
        while nodes := search.wanted():
            unknown = {node for node in nodes if node not in self._known}
            for node in nodes:
                if node not in unknown:
                    search.tell(node, self._known[node])
            if unknown:
                return unknown
        return set()

    def _logp(self, way: list[int]) -> float:
        """Log-probability of the title at the end of a way, in the order of addition of :meth:`Search.tell`."""
        total = 0.0
        for node, child in itertools.pairwise(way):
            total += min(float(self._known[node][child - int(self._tree.child[node])]), 0.0)
        return total
