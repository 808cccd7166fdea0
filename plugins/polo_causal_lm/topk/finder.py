"""What the policy finds in the catalogue: its best titles, draws, places. Knows which way the model allows."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polo import Drawn, InputError, Placed, Ragged, RowRandom, Rows, Top
from polo_causal_lm.topk.asking import Ask
from polo_causal_lm.topk.best import BestTitles, left_out
from polo_causal_lm.topk.find import Machine
from polo_causal_lm.topk.search import Ranking, Wish
from polo_causal_lm.ways import Ways

#: bytes of keys and values that a search keeps: 1 GiB
MEMORY = 1 << 30
#: tokens of a pass of a search
BUDGET = 16384


class FindsTitles(ABC):
    """The part of a policy that finds titles; follows :class:`polo.TopItems`, ``DrawsItems`` and ``PlacesItems``.

    Attributes:
        module: what computes.
    """

    module: nn.Module
    _ways: Ways
    #: ``None`` where there is no catalogue
    _best: BestTitles | None

    @abstractmethod
    def score_many(self, rows: Rows, items: Int[Tensor, "b n"], budget: int) -> Float[Tensor, "b n"]:
        """What scores long lists."""

    def top_items(
        self,
        rows: Rows,
        k: int,
        *,
        without: Ragged | None = None,
        nodes: int | None = None,
        ranking: Ranking = "sum",
        budget: int = BUDGET,
        memory: int = MEMORY,
    ) -> Top:
        """As :class:`polo.TopItems` says, by best-first search over the titles' tree (see ``topk.search``).

        A model that rules the tree out scores all titles, however many.

        Args:
            rows: B rows.
            k: places.
            without: B lists of items to leave out.
            nodes: most nodes of the tree to expand for a row.
            ranking: by the ``sum`` of a title's log-probabilities or their ``mean`` over its tokens with the end token.
            budget: tokens of a pass.
            memory: bytes of keys and values that are kept; what does not fit is computed again.

        Raises:
            InputError: the prompt shows candidates, so that there is no ranking of the catalogue; or a number is off.
        """
        best, wish = self._catalogue("search"), Wish(k, ranking, nodes)
        if not self._ways.tree:
            return best.by_scoring(lambda row: self._all(row, budget), rows, wish, without)
        with self._ways.fast_layers():
            return best.by_search(self._machine(budget, memory), rows, wish, without)

    def top_items_asking(
        self, ask: Ask, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None
    ) -> Top:
        """What :meth:`top_items` finds, where another engine that has this policy's weights is asked what follows.

        Args:
            ask: for (text, next tokens) of many questions, in token ids, log-probabilities in nats of each next token.
            rows, k, without, nodes: as for :meth:`top_items`.

        Raises:
            InputError: see :meth:`top_items`.
        """
        return self._catalogue("search").by_asking(ask, rows, Wish(k, nodes=nodes), without)

    def longest_text(self, rows: Rows) -> int:
        """Tokens of the longest prompt with the longest title of all."""
        return self._catalogue("search").longest(rows)

    def place_items(
        self,
        rows: Rows,
        k: int,
        asked: Ragged,
        *,
        without: Ragged | None = None,
        rankings: Sequence[Ranking] = ("sum",),
        exact: bool = True,
        budget: int = BUDGET,
    ) -> list[Placed]:
        """As :class:`polo.PlacesItems` says, by best-first search down to each asked title (see ``topk.places``).

        A row that would expand too much of the tree is scored whole, and so is every row of a model that rules the tree
        out.

        Raises:
            InputError: see :meth:`top_items`; or an item is asked for that is left out.
        """
        best = self._catalogue("search")
        if len(asked) != len(rows):
            raise InputError(f"{len(asked)} lists for {len(rows)} rows", where="place_items: asked",
                             fix="give one for each row")  # fmt: skip
        if any(np.isin(left_out(asked, i), left_out(without, i)).any() for i in range(len(rows))):
            raise InputError("an item that is left out has no place", where="place_items: asked", fix="ask for others")
        machine = self._machine(budget, MEMORY) if self._ways.tree else None
        wishes = [Wish(k, ranking) for ranking in rankings]
        with self._ways.fast_layers():
            return best.placed(machine, lambda row: self._all(row, budget), rows, wishes, asked, without, exact=exact)

    def draw_items(self, rows: Rows, k: int, rng: RowRandom, *, without: Ragged | None = None) -> Drawn:
        """As :class:`polo.DrawsItems` says: by what the model would write of the catalogue (see ``topk.draws``).

        q is a product over tokens, each among those that titles go on with there, and not the softmax of whole titles'
        scores; the two are equal where the model writes titles of the catalogue only.

        Raises:
            InputError: the prompt shows candidates, or the model rules the tree of titles out.
        """
        if not self._ways.tree:
            raise InputError(f"titles are drawn in their tree, which this model has not: {self._ways.tree_reason}",
                             where="policy.tree", fix="use tree: auto, or another sampler")  # fmt: skip
        best = self._catalogue("draw from")
        with self._ways.fast_layers():
            return best.drawn(self._machine(BUDGET, MEMORY), rows, k, rng, without)

    def _catalogue(self, what: str) -> BestTitles:
        if self._best is None:
            raise InputError(f"answers belong to their rows: there is no catalogue to {what}", where="data")
        return self._best

    def _machine(self, budget: int, memory: int) -> Machine:
        return Machine(self.module, next(self._ways.scorer.parameters()).device, budget, memory)

    def _all(self, row: Rows, budget: int) -> Tensor:
        """Scores ``[n]`` of all titles for one row."""
        return self.score_many(row, torch.arange(len(self._catalogue("score")))[None], budget)[0]
