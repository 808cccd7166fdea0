"""What measures: metrics, and the trivial systems that every model is measured beside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from polo.data import FloatArray, IntArray, Rows, Splits
from polo.protocols.ranking import Ranked


@runtime_checkable
class Evaluator(Protocol):
    """A metric over ranked candidate lists."""

    #: among "ranks", "scores", "reference" (policy stages with a reference only), "tokens" (systems whose scores are
    #: sums over tokens only), "generation" (policy stages only; the policy must have ``generate``), "items" (data
    #: whose rows have texts of their own are refused), and "all_rows" (a row's value depends on the others measured
    #: with it, so that whole catalogues, which are ranked block by block, are refused)
    needs: frozenset[str]

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        """Metric name (such as ``hit_ratio@1``) -> value of each row, ``[N]``; the metric is their mean."""


@runtime_checkable
class LooksNoFurther(Protocol):
    """An evaluator to which all ranks beyond a certain one are alike, such as a metric of the first k.

    It can be measured where no more than the best items are known. Of the others every rank counts.
    """

    #: the last rank that makes a difference
    deepest: int


@runtime_checkable
class Totals(Protocol):
    """An evaluator whose figure is no mean over rows, such as how much of the catalogue is ever recommended."""

    def totals(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        """Metric name -> an array that adds up: the totals of two disjoint sets of rows sum to those of their union."""

    def figures(self, totals: Mapping[str, FloatArray]) -> Mapping[str, float]:
        """The metrics, from totals of all rows."""


@runtime_checkable
class Baseline(Protocol):
    """A trivial system that every model is measured beside."""

    def fit(self, splits: Splits) -> None:
        """Learns from ``splits.train`` and ``splits.sequences`` alone."""

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        """``[N, n]`` scores, higher is better; ties are allowed and counted by the tie rule."""


@runtime_checkable
class Applies(Protocol):
    """A baseline or audit that is not for every data set; ``all`` leaves it out where it does not apply."""

    def applies(self, splits: Splits) -> bool: ...


@runtime_checkable
class Labelled(Protocol):
    """A baseline whose name in results is not that of its component."""

    label: str


@runtime_checkable
class Wanting(Protocol):
    """A baseline that is not for all data and says what it needs of them.

    ``items``: items that any row may have; not where answers belong to their rows. ``history``: rows that show what
    came before. Where the data have it not, ``all`` leaves it out, and asked for by name it is refused.
    """

    needs: frozenset[str]
