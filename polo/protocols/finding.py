"""What a policy may find in the whole catalogue by a way of its own, without scoring it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, Protocol, runtime_checkable

from polo.data import BoolArray, FloatArray, IntArray, Ragged, Rows

if TYPE_CHECKING:
    from polo.randomness import RowRandom


@dataclass(frozen=True)
class Top:
    """The best K items of B rows, best first.

    Args:
        items: int64 ``[B, K]``; :data:`~polo.data.PAD` where there is no item (fewer are wanted, or found in time).
        scores: float64 ``[B, K]``; ``-inf`` where there is no item.
        proven: ``[B, K]`` whether the place is certain to be that of a ranking of all items; a beginning of each row.
    """

    items: IntArray
    scores: FloatArray
    proven: BoolArray


@runtime_checkable
class TopItems(Protocol):
    """A policy with a way of its own to find the best items of the whole catalogue."""

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None) -> Top:
        """The k best items of each row by ``score``, without gradient, in evaluation mode.

        Equal scores are ranked by item number. Weights must not be sharded: processes would call the module unequally
        often.

        Args:
            rows: B rows.
            k: places, at least 1.
            without: B lists of items that are left out, such as those a user knows.
            nodes: most evaluations of the model for a row, however many a proof would need; then places may be
                unproven. ``None``: all places are proven.
        """


@dataclass(frozen=True)
class Drawn:
    """K items of B rows, drawn one after the other without any twice.

    Args:
        items: int64 ``[B, K]``; :data:`~polo.data.PAD` where fewer than K may be drawn.
        logq: float64 ``[B, K]``, log-probability of each as a first draw; 0 where there is no item.
        allowed: int64 ``[B]`` how many items could be drawn.
    """

    items: IntArray
    logq: FloatArray
    allowed: IntArray


@runtime_checkable
class DrawsItems(Protocol):
    """A policy that draws items of the whole catalogue by its own distribution, and says how likely they were."""

    def draw_items(self, rows: Rows, k: int, rng: RowRandom, *, without: Ragged | None = None) -> Drawn:
        """k different items of each row, without gradient, in evaluation mode.

        Each draw takes one of the items that are left, in proportion to q, the policy's distribution over all items
        that are not left out: their q sum to 1. Row i's draw depends on row i and ``rng`` alone. Weights must not be
        sharded.

        Args:
            rows: B rows.
            k: draws, at least 1.
            rng: randomness addressed by row id.
            without: B lists of items that are left out, such as those a user knows.
        """


@dataclass(frozen=True)
class Placed:
    """The best K items of B rows, and where M asked items stand in the rankings of their rows.

    Args:
        top: the best K of each row.
        score: float64 ``[M]`` of each asked item, those of a row together.
        above: int64 ``[M]`` how many items score strictly higher.
        tied: int64 ``[M]`` how many other items score exactly the same.
        exact: bool ``[M]``; where not, at least ``above`` items score higher, and at least K do.
    """

    top: Top
    score: FloatArray
    above: IntArray
    tied: IntArray
    exact: BoolArray


@runtime_checkable
class PlacesItems(Protocol):
    """A policy with a way of its own to find where an item stands among all items."""

    def place_items(
        self,
        rows: Rows,
        k: int,
        asked: Ragged,
        *,
        without: Ragged | None = None,
        rankings: Sequence[Literal["sum", "mean"]] = ("sum",),
        exact: bool = True,
        budget: int = 16384,
    ) -> Sequence[Placed]:
        """One ranking after the other, without gradient, in evaluation mode: the best, and places of asked items.

        Weights must not be sharded.

        Args:
            rows: B rows.
            k: places of ``top``, at least 1; all of them are proven.
            asked: B lists of items whose places are wanted.
            without: B lists of items that are left out, none of them asked for.
            rankings: by ``score``, or by its mean over an item's tokens.
            exact: whether the place of an item that is not among the best k is worked out as well.
            budget: about so many tokens are computed at a time.
        """
