"""The best titles of rows, by search or, where a model rules that out, by scoring all. Ties the parts together."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from polo import PAD, BoolArray, Drawn, FloatArray, InputError, IntArray, Placed, Ragged, RowRandom, Rows, Top
from polo_causal_lm.text import Texts
from polo_causal_lm.topk.asking import Ask, find_by_asking
from polo_causal_lm.topk.draws import Draws
from polo_causal_lm.topk.find import Machine, find
from polo_causal_lm.topk.places import Places
from polo_causal_lm.topk.search import Ranking, Search, Wish
from polo_causal_lm.topk.titles import TitleTree

#: a row that would expand more than this share of its tree to find a place is scored whole instead: a node of a search
#: took 2.5 times as long as one of the tree (LastFM on a CPU), so that a search in vain adds half as much again
SHARE = 1 / 4
#: nodes that may be expanded however small the tree is, and most of them however large: slots of keys would be many
FEW_NODES, MANY_NODES = 64, 4096


def token_bytes(config: Any, dtype: torch.dtype) -> int:
    """Bytes of one token's keys and values over all layers of a transformers model.

    Example (two layers, two heads of 8 numbers of 4 bytes, keys and values):
        >>> from transformers import LlamaConfig
        >>> sizes = dict(num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, hidden_size=32)
        >>> token_bytes(LlamaConfig(**sizes), torch.float32)
        256
    """
    config = config.get_text_config()
    heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    return int(2 * config.num_hidden_layers * heads * size * dtype.itemsize)


class BestTitles:
    """A catalogue's titles, of which the best are wanted.

    Args:
        texts: the titles, and what makes prompts.
        token_bytes: of one token's keys and values, see :func:`token_bytes`.
    """

    def __init__(self, texts: Texts, token_bytes: int) -> None:
        self._texts, self._token_bytes = texts, token_bytes
        self._tree: TitleTree | None = None

    def __len__(self) -> int:
        return len(self._texts.titles)

    def longest(self, rows: Rows) -> int:
        """Tokens of the longest prompt with the longest title of all."""
        return max(len(prompt) for prompt in self._texts.prompts(rows)) + int(self._texts.title_lengths.max())

    @property
    def tree(self) -> TitleTree:
        """The titles' tree; made when it is first wanted."""
        if self._tree is None:
            self._tree = TitleTree.of(self._texts.titles)
        return self._tree

    def by_search(self, machine: Machine, rows: Rows, wish: Wish, without: Ragged | None) -> Top:
        """Places of B rows, found in the tree.

        Args:
            machine: what computes.
            rows: B rows.
            wish: what is ranked.
            without: B lists of items to leave out.

        Raises:
            InputError: see :meth:`CausalLM.top_items`.
        """
        return self._searched(
            rows, wish, without, lambda prompts, own: find(machine, self._token_bytes, self.tree, prompts, own)
        )

    def by_asking(self, ask: Ask, rows: Rows, wish: Wish, without: Ragged | None) -> Top:
        """The same where another engine is asked what follows, see ``topk.asking``."""
        return self._searched(rows, wish, without, lambda prompts, own: find_by_asking(ask, self.tree, prompts, own))

    def _searched(
        self, rows: Rows, wish: Wish, without: Ragged | None, run: Callable[[list[IntArray], list[Search]], None]
    ) -> Top:
        self._check(wish, rows, without)
        searches = [Search(self.tree, wish, left_out(without, i)) for i in range(len(rows))]
        run(self._texts.prompts(rows), searches)
        top = _empty(len(rows), wish.k)
        for i, search in enumerate(searches):
            _fill(top, i, search.items, search.scores)
            top.proven[i] = search.proven
        return top

    def by_scoring(self, score: Callable[[Rows], Tensor], rows: Rows, wish: Wish, without: Ragged | None) -> Top:
        """The same from the scores ``[n]`` of all items, one row at a time; every place is proven."""
        self._check(wish, rows, without)
        top, lengths = _empty(len(rows), wish.k), self._texts.title_lengths
        for i in range(len(rows)):
            scores = score(rows[i : i + 1]).double().cpu().numpy() / (lengths if wish.ranking == "mean" else 1)
            best = _sorted(scores, left_out(without, i))[: wish.k]
            _fill(top, i, best, scores[best])
        return top

    def placed(
        self,
        machine: Machine | None,
        score: Callable[[Rows], Tensor],
        rows: Rows,
        wishes: Sequence[Wish],
        asked: Ragged,
        without: Ragged | None,
        *,
        exact: bool,
    ) -> list[Placed]:
        """The best of B rows, and the places of the items they ask for, in one ranking after the other.

        A row whose places would take more than :data:`SHARE` of its tree is scored whole.

        Args:
            machine: what searches; ``None``: every row is scored whole.
            score: scores ``[n]`` of all items for one row.
            rows: B rows.
            wishes: a ranking each, of equally many places.
            asked: B lists of items.
            without: B lists of items to leave out.
            exact: whether places behind the best are found too.
        """
        self._check(wishes[0], rows, without)
        found = [_Places(len(rows), wish, asked) for wish in wishes]
        left = list(range(len(rows)))
        if machine is not None:
            most = min(MANY_NODES, max(FEW_NODES, int(SHARE * self.tree.inner)))
            limited = [Wish(wish.k, wish.ranking, most) for wish in wishes]
            searches = [Places(self.tree, limited, left_out(without, i), left_out(asked, i), exact=exact) for i in left]
            find(machine, self._token_bytes, self.tree, self._texts.prompts(rows), searches)
            left = [i for i in left if not searches[i].over]
            for i in sorted(set(range(len(rows))) - set(left)):
                for one, search in zip(found, searches[i].found, strict=True):
                    one.put(i, search.items, search.scores, search.score, search.above, search.tied, search.sure)
        for i in left:
            scores = score(rows[i : i + 1]).double().cpu().numpy()
            for one in found:
                one.count(i, scores / self._texts.title_lengths if one.ranking == "mean" else scores,
                          left_out(without, i))  # fmt: skip
        return [one.placed for one in found]

    def drawn(self, machine: Machine, rows: Rows, k: int, rng: RowRandom, without: Ragged | None) -> Drawn:
        """k titles of each of B rows, drawn by what the model would write of the catalogue; see ``topk.draws``.

        Raises:
            InputError: see :meth:`CausalLM.draw_items`.
        """
        self._check(Wish(k), rows, without)
        words = [rng.child("titles", int(row)) for row in rows.id]
        draws = [Draws(self.tree, k, left_out(without, i), own) for i, own in enumerate(words)]
        find(machine, self._token_bytes, self.tree, self._texts.prompts(rows), draws)
        items, logq = np.full((len(rows), k), PAD, np.int64), np.zeros((len(rows), k))
        for i, one in enumerate(draws):
            items[i, : len(one.items)], logq[i, : len(one.items)] = one.items, one.logq
        return Drawn(items, logq, np.array([one.allowed for one in draws], np.int64))

    def _check(self, wish: Wish, rows: Rows, without: Ragged | None) -> None:
        if self._texts.template.show_candidates:
            raise InputError("the prompt shows a list, so there is no ranking of the catalogue", where="top_items",
                             fix="set policy.prompt.candidates to `hidden`, or score the list")  # fmt: skip
        if wish.k < 1:
            raise InputError(f"{wish.k} places cannot be filled", where="top_items: k", fix="ask for 1 or more")
        if wish.nodes is not None and wish.nodes < 0:
            raise InputError(f"{wish.nodes} nodes cannot be expanded", where="top_items: nodes", fix="give 0 or more")
        if without is not None and len(without) != len(rows):
            raise InputError(f"{len(without)} lists for {len(rows)} rows", where="top_items: without",
                             fix="give one for each row")  # fmt: skip


class _Places:
    """What is found of one ranking, row by row."""

    def __init__(self, rows: int, wish: Wish, asked: Ragged) -> None:
        self.ranking: Ranking = wish.ranking
        self._asked, self._k, m = asked, wish.k, len(asked.items)
        above, tied = np.zeros(m, np.int64), np.zeros(m, np.int64)
        self.placed = Placed(_empty(rows, wish.k), np.zeros(m), above, tied, np.ones(m, np.bool_))

    def put(self, row: int, items: IntArray, scores: FloatArray, *columns: FloatArray | IntArray | BoolArray) -> None:
        """The best of a row, and score, above, tied and exact of what it asks for."""
        _fill(self.placed.top, row, items, scores)
        at = slice(int(self._asked.offsets[row]), int(self._asked.offsets[row + 1]))
        own = self.placed.score, self.placed.above, self.placed.tied, self.placed.exact
        for column, values in zip(own, columns, strict=True):
            column[at] = values

    def count(self, row: int, scores: FloatArray, without: IntArray) -> None:
        """The same from the scores of all items."""
        order, own = _sorted(scores, without), scores[left_out(self._asked, row)]
        ranked = -scores[order]
        above = np.searchsorted(ranked, -own, side="left")
        tied = np.searchsorted(ranked, -own, side="right") - above - 1
        best = order[: self._k]
        self.put(row, best, scores[best], own, above, tied, np.ones(len(own), np.bool_))


def _sorted(scores: FloatArray, without: IntArray) -> IntArray:
    """Items, best first, equal ones by number."""
    items = np.setdiff1d(np.arange(len(scores)), without)
    order: IntArray = items[np.argsort(-scores[items], kind="stable")]
    return order


def left_out(without: Ragged | None, row: int) -> IntArray:
    """The list of one row."""
    if without is None:
        return np.empty(0, np.int64)
    return without.items[without.offsets[row] : without.offsets[row + 1]]


def _empty(rows: int, k: int) -> Top:
    return Top(np.full((rows, k), PAD, np.int64), np.full((rows, k), -np.inf), np.ones((rows, k), np.bool_))


def _fill(top: Top, row: int, items: IntArray, scores: FloatArray) -> None:
    top.items[row, : len(items)], top.scores[row, : len(items)] = items, scores
