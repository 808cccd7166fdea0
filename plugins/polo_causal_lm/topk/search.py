"""Best-first search for the K best titles of one row. Knows trees and log-probabilities; knows no model.

    score(title) = log p(title), or log p(title) / tokens(title) where means are ranked
    bound(node)  = log p(node),  or log p(node) / tokens of the longest title below it

Log-probabilities only fall along a title, so no title below a node scores above its bound, and a node whose bound is
below the K-th best score need never be expanded. Those at or above it must be, by any method: these are the nodes that
the proof needs. Prefixes of one depth have probabilities that sum to at most 1, so there are at most depth / p_K of
them, however large the catalogue.

Several nodes are asked for at a time. The proof is certain to need a node with bound t if fewer than K titles can score
t or more elsewhere: those found that do, and at most p_u / p of each node u before it, since so many texts of
probability p take up the probability p_u of their common beginning, times the most titles that one text has. Besides
these, :data:`EXTRA` of a node is asked for on trust for each that was certain, so the search expands at most 1 + EXTRA
times the nodes that the proof needs.

Equal scores are ranked by item number, as a stable sort of all scores would.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from polo import BoolArray, FloatArray, IntArray, PoloError
from polo_causal_lm.topk.frontier import Frontier, Open
from polo_causal_lm.topk.titles import TitleTree

Ranking = Literal["sum", "mean"]

#: nodes expanded on trust for each that the proof is certain to need
EXTRA = 0.5
#: most nodes asked for at a time
WIDTH = 64


@dataclass(frozen=True)
class Wish:
    """What is ranked, and how far a search may go.

    Args:
        k: places.
        ranking: ``sum`` of a title's log-probabilities, or their ``mean`` per token.
        nodes: most nodes to expand; ``None``: as many as the proof needs.
    """

    k: int
    ranking: Ranking = "sum"
    nodes: int | None = None


@dataclass
class _Found:
    """The best titles so far, best first."""

    score: FloatArray = field(default_factory=lambda: np.empty(0))
    item: IntArray = field(default_factory=lambda: np.empty(0, np.int64))

    def add(self, score: FloatArray, item: IntArray, k: int) -> None:
        score, item = np.concatenate([self.score, score]), np.concatenate([self.item, item])
        best = np.lexsort((item, -score))[:k]
        self.score, self.item = score[best], item[best]


class Search:
    """Asks for nodes (:meth:`wanted`), is told what follows them (:meth:`tell`), until it asks for none.

    Args:
        tree: the catalogue.
        wish: what is ranked.
        without: items that are left out.

    Example (the root's children have probabilities 0.5 and 0.25, then every title ends for certain):
        >>> tree = TitleTree.of([np.array([5, 2]), np.array([6, 2]), np.array([6, 7, 2])])
        >>> search = Search(tree, Wish(1), np.array([], np.int64))
        >>> search.wanted()
        [0]
        >>> search.tell(0, np.log([0.5, 0.25]))
        >>> search.wanted()  # the first for certain, the second on trust
        [1, 2]
        >>> search.tell(1, np.log([1.0]))
        >>> search.tell(2, np.log([0.5, 0.5]))
        >>> search.wanted(), search.items.tolist(), search.proven.tolist(), search.expanded
        ([], [0], [True], 3)
    """

    def __init__(self, tree: TitleTree, wish: Wish, without: IntArray) -> None:
        self._tree, self._wish = tree, wish
        self._without = np.isin(tree.order, without) if len(without) else None
        #: of the places before each, how many are left out
        self._gone = None if self._without is None else np.append(0, np.cumsum(self._without))
        self._found = _Found()
        self._frontier = Frontier()
        self._asked: dict[int, Open] = {}
        self._trusted: list[float] = []
        self._certain = 0
        self._ranks: list[tuple[float, int]] = []
        self._open(np.zeros(1, np.int64), np.zeros(1))

    def wanted(self) -> list[int]:
        """The nodes that must be expanded next; none: the search is over, or may not go on."""
        room = self._room()
        taken: list[Open] = []
        last = self._last()
        while len(taken) < room and (node := self._frontier.peek()) is not None and (-node.bound, node.least) < last:
            taken.append(self._frontier.pop())
        if not taken:
            return []
        certain = self._certainly(taken)
        # What was expanded on trust and stands before these was needed as well.
        trusted = [bound for bound in self._trusted if bound < taken[certain - 1].bound]
        self._certain += certain + len(self._trusted) - len(trusted)
        self._trusted = trusted
        count = certain + min(len(taken) - certain, int(EXTRA * self._certain) - len(self._trusted))
        self._frontier.put_back(taken[count:])
        self._trusted += [node.bound for node in taken[certain:count]]
        return self._ask(taken[:count])

    def _ask(self, nodes: list[Open]) -> list[int]:
        """Remembers nodes of the frontier as asked for; returns their numbers."""
        self._asked.update((node.node, node) for node in nodes)
        self._ranks += [(-node.bound, node.least) for node in nodes]
        return [node.node for node in nodes]

    def tell(self, node: int, logps: FloatArray) -> None:
        """What follows a node that was asked for.

        Args:
            node: its number.
            logps: log-probability of each child's token, in the order of the children; rounding above 0 is taken off.

        Raises:
            PoloError: one of them is NaN.
        """
        if np.isnan(logps).any():
            raise PoloError("the model finds a title token likely to the degree NaN", fix="look at its weights")
        tree, first = self._tree, int(self._tree.child[node])
        children = np.arange(first, first + len(logps))
        logp = self._asked.pop(node).logp + np.minimum(logps, 0.0)
        ending = np.flatnonzero(tree.ends[children])
        if len(ending):
            self._end(children[ending], logp[ending])
        self._open(children, logp)

    @property
    def expanded(self) -> int:
        """Nodes that were asked for."""
        return len(self._ranks)

    @property
    def needed(self) -> int:
        """How many of them any proof of the places found needs: those that come before the last place."""
        last = self._last()
        return sum(rank < last for rank in self._ranks)

    @property
    def items(self) -> IntArray:
        """The best items found, best first; fewer than K if no more are wanted or found."""
        return self._found.item

    @property
    def scores(self) -> FloatArray:
        """Their scores."""
        return self._found.score

    @property
    def proven(self) -> BoolArray:
        """``[K]`` which places are certain: no item that was not found comes before, or there is none to fill it."""
        proven = np.ones(self._wish.k, np.bool_)
        if self._asked:
            return np.zeros_like(proven)
        node = self._frontier.peek()
        if node is not None:
            score, item = self._found.score, self._found.item
            before = (score > node.bound) | ((score == node.bound) & (item <= node.least))
            proven[len(score) :] = False
            proven[: len(score)] = before
        return proven

    def _room(self) -> int:
        """How many nodes may be asked for now."""
        return WIDTH if self._wish.nodes is None else min(WIDTH, self._wish.nodes - self.expanded)

    def _least(self) -> float:
        """Nodes with a lower bound than this are of no account."""
        return float(self._found.score[-1]) if len(self._found.item) == self._wish.k else -np.inf

    def _last(self) -> tuple[float, int]:
        """Where the last place stands; behind everything while it is empty."""
        if len(self._found.item) < self._wish.k:
            return (np.inf, np.iinfo(np.int64).max)
        return (-float(self._found.score[-1]), int(self._found.item[-1]))

    def _certainly(self, nodes: list[Open]) -> int:
        """How many of the first nodes of the frontier the proof is certain to need."""
        bound = np.array([node.bound for node in nodes])
        scale, titles = (np.array([getattr(node, name) for node in nodes]) for name in ("scale", "titles"))
        for j in range(1, len(nodes)):
            found = int((self._found.score >= bound[j]).sum())
            with np.errstate(invalid="ignore", over="ignore"):
                # The factor keeps rounding from hiding a title; NaN (nothing is possible at all) counts all titles.
                share = np.floor(np.exp(scale[:j] * (bound[:j] - bound[j])) * (1 + 1e-9)) * self._tree.alike
            possible = np.where(share < titles[:j], share, titles[:j])
            if found + possible.sum() >= self._wish.k:
                return j
        return len(nodes)

    def _end(self, nodes: IntArray, logp: FloatArray) -> None:
        """Takes in the titles that end at nodes."""
        counts = self._tree.ends[nodes].astype(np.int64)
        begins = np.repeat(self._tree.low[nodes] - (np.cumsum(counts) - counts), counts)
        places = begins + np.arange(int(counts.sum()))
        value = np.repeat(logp, counts)
        if self._without is not None:
            wanted = ~self._without[places]
            places, value = places[wanted], value[wanted]
        item = self._tree.order[places]
        if self._wish.ranking == "mean":
            value = value / self._tree.lengths[item]
        self._take_in(value, item)

    def _take_in(self, value: FloatArray, item: IntArray) -> None:
        """Titles that were found, with their scores."""
        self._found.add(value, item, self._wish.k)

    def _open(self, nodes: IntArray, logp: FloatArray) -> None:
        """Puts nodes on the frontier below which there are wanted titles that may matter."""
        tree = self._tree
        low, high = tree.low[nodes].astype(np.int64) + tree.ends[nodes], tree.high[nodes].astype(np.int64)
        titles = high - low if self._gone is None else high - low - (self._gone[high] - self._gone[low])
        scale = tree.longest[nodes].astype(np.int64) if self._wish.ranking == "mean" else np.ones(len(nodes), np.int64)
        bound = logp / scale
        inside = (titles > 0) & (bound >= self._least())
        if inside.any():
            least = tree.least[nodes].astype(np.int64)
            self._frontier.add(bound[inside], least[inside], nodes[inside], logp[inside], titles[inside], scale[inside])
