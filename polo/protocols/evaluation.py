"""What measures: ranked lists, metrics, and the trivial systems that every model is measured beside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from polo.data import FloatArray, IntArray, Rows, Splits
from polo.errors import PoloError


@dataclass(frozen=True)
class Ranked:
    """One system's scores on the candidate lists of N rows, with the target's place worked out.

    Args:
        rows: the rows; ``rows.candidates`` is ``[N, n]``.
        scores: float64 ``[N, n]``, higher is better.
        truth: ``[N]`` column of the target.
        above: ``[N]`` how many candidates score strictly higher than the target.
        tied: ``[N]`` how many other candidates score exactly the same.
        reference: float64 ``[N, n]``, the reference's scores of the same lists, for evaluators that need ``reference``.
        generated: N greedy completions, for evaluators that need ``generation``.
    """

    rows: Rows
    scores: FloatArray
    truth: IntArray
    above: IntArray
    tied: IntArray
    reference: FloatArray | None = None
    generated: Sequence[str] | None = None

    @classmethod
    def of(
        cls,
        rows: Rows,
        scores: FloatArray,
        reference: FloatArray | None = None,
        generated: Sequence[str] | None = None,
    ) -> Ranked:
        if rows.candidates is None:
            raise ValueError("rows without candidate lists cannot be ranked")
        if not np.isfinite(scores).all():
            row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise PoloError(f"a score of row {int(rows.id[row])} is not finite: {scores[row].tolist()}",
                            fix="look at what scored it; a ranking of such scores would mean nothing")  # fmt: skip
        truth = (rows.candidates == rows.target[:, None]).argmax(axis=1)
        own = np.take_along_axis(scores, truth[:, None], axis=1)
        above = (scores > own).sum(axis=1)
        tied = (scores == own).sum(axis=1) - 1
        places = (truth.astype(np.int64), above.astype(np.int64), tied.astype(np.int64))
        return cls(rows, scores, *places, reference, generated)


@runtime_checkable
class Evaluator(Protocol):
    """A metric over ranked candidate lists."""

    #: among "ranks", "scores", "reference" (policy stages with a reference only), "generation" (policy stages only;
    #: the policy must have ``generate``)
    needs: frozenset[str]

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        """Metric name (such as ``hit_ratio@1``) -> value of each row, ``[N]``; the metric is their mean."""


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
