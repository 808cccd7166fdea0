"""The scorer `search`: the best of a whole catalogue and the places of what is relevant, found and not all scored.

Rows are shared out over processes and put together again. Knows what a policy offers; knows no tree and no metric.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
from annotated_types import Ge

from polo.context import Context
from polo.data import IntArray, Ragged, Rows
from polo.errors import InputError
from polo.model.scoring import PolicyScorer, PolicyScorerOptions
from polo.protocols import Finder, Placed, PlacesItems, Policy, Top

#: what a ranking is called behind the name of a metric
_SUFFIX: Mapping[Literal["sum", "mean"], str] = {"sum": "", "mean": "/mean"}


@dataclass(frozen=True, kw_only=True)
class SearchOptions(PolicyScorerOptions):
    """Options of the scorer ``search``."""

    #: best items that are found and kept of each row
    first: Annotated[int, Ge(2)] = 100
    #: ``exact``: the rank of every relevant item, whatever it is; ``first``: only those among the first, which is all
    #: that metrics of the first k look at, and costs less the further down relevant items stand
    ranks: Literal["exact", "first"] = "exact"
    #: also rank by mean log-probability per token, as scoring everything does; means are bounded loosely, so that this
    #: may take as long as scoring everything
    mean: bool = False


class SearchScorer(PolicyScorer):
    """Finds what a policy that :class:`~polo.protocols.PlacesItems` finds; lists are scored as by ``policy``.

    Attributes:
        deepest: as :class:`~polo.protocols.FindsPlaces` says.
    """

    deepest: int | None = None

    def __init__(self, options: SearchOptions, context: Context) -> None:
        super().__init__(options, context)
        self._first, self._exact, self._tokens = options.first, options.ranks == "exact", options.tokens_per_pass
        self._rankings: Sequence[Literal["sum", "mean"]] = ("sum", "mean") if options.mean else ("sum",)
        self.deepest = None if self._exact else options.first

    def finder(self, policy: Policy) -> Finder:
        """What finds, see :class:`~polo.protocols.FindsPlaces`.

        Raises:
            InputError: the policy finds nothing itself, or its weights are spread over processes.
        """
        import torch
        from accelerate import PartialState
        from accelerate.utils import gather_object

        from polo.model.sharding import is_sharded

        if not isinstance(policy, PlacesItems):
            raise InputError("this policy finds no places of items", where="evaluate.scorer", fix="leave it out")
        if is_sharded(policy.module):
            raise InputError(
                "a search calls the policy unequally often on each process, which sharded weights do not allow",
                where="evaluate.scorer",
                fix="leave the scorer out, or drop --shard",
            )
        placer, state = policy, PartialState()

        def find(rows: Rows, asked: Ragged) -> tuple[Mapping[str, Placed], IntArray | None]:
            mine = np.arange(state.process_index, len(rows), state.num_processes)
            own = rows[mine]
            without = None if own.whole is None else own.whole.without
            training = policy.module.training
            policy.module.eval()
            try:
                placed = [] if not len(mine) else placer.place_items(
                    own, self._first, asked[mine], without=without, rankings=self._rankings, exact=self._exact,
                    budget=self._tokens,
                )  # fmt: skip
            finally:
                policy.module.train(training)
            if state.num_processes > 1:
                parts = [part for part in gather_object([(mine, placed)]) if len(part[0])]
                placed = [
                    _together([at for at, _ in parts], [found[i] for _, found in parts], asked)
                    for i in range(len(self._rankings))
                ]
            tokens = policy.tokens(torch.from_numpy(rows.target[:, None]))[:, 0].cpu().numpy()
            return {_SUFFIX[ranking]: one for ranking, one in zip(self._rankings, placed, strict=True)}, tokens

        return find


def _together(at: Sequence[IntArray], parts: Sequence[Placed], asked: Ragged) -> Placed:
    """What processes found for the rows ``at``, in the order of the rows."""
    order = np.argsort(np.concatenate(at))
    items = np.concatenate([np.flatnonzero(np.isin(_owner(asked), rows)) for rows in at])
    flat = np.argsort(items)
    top = Top(*(np.concatenate([getattr(p.top, name) for p in parts])[order] for name in ("items", "scores", "proven")))
    return Placed(
        top,
        *(np.concatenate([getattr(p, name) for p in parts])[flat] for name in ("score", "above", "tied", "exact")),
    )


def _owner(lists: Ragged) -> IntArray:
    return np.repeat(np.arange(len(lists), dtype=np.int64), lists.lengths)
