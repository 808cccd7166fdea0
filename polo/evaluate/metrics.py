"""From scores to results: metrics of each system, intervals, comparisons, and the files they go to.

A system is anything that ranked the same rows: baselines, the policy after each stage. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polo.data import PAD, FloatArray, IntArray, Rows
from polo.evaluate.significance import interval, paired
from polo.protocols import Evaluator, Numbers, Ranked, Totals
from polo.store.files import whole_file

#: the system whose differences to all others are tested
MODEL = "model"
#: the system that the policy is before its first stage
START = "base"


class Outcome(Protocol):
    """What came of one system that ranked the rows, whatever was ranked for them."""

    @property
    def name(self) -> str: ...

    def values(self, rows: Rows, evaluators: Sequence[Evaluator]) -> dict[str, FloatArray]:
        """Metric name -> value of each row."""

    def figures(self, rows: Rows, evaluators: Sequence[Evaluator]) -> dict[str, float]:
        """Metrics that are no means over rows, by name."""

    def places(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """How many items score higher than the target, and how many others the same: ``[N]`` each."""

    def target_tokens(self, rows: Rows) -> IntArray | None:
        """``[N]`` tokens of the target's title, where scores are sums over tokens."""

    def best(self, rows: Rows, row: int) -> tuple[IntArray, FloatArray]:
        """Items of one row, best first, and each one's share of exp(score) among all that are ranked."""

    def columns(self, rows: Rows) -> dict[str, Any]:
        """What its Parquet file holds of each row."""


@dataclass(frozen=True)
class System:
    """Scores ``[N, n]`` of one system on candidate lists.

    Args:
        name: of the system.
        scores: higher is better.
        tokens: how many tokens each score runs over, where they are sums of log-probabilities.
        reference: scores of the reference, where it is one of the run's stages.
        generated: greedy completions, where an evaluator needs them.
        free: whether ``scores`` may be written to when they are ranked.
    """

    name: str
    scores: Numbers
    tokens: IntArray | None = None
    reference: FloatArray | None = None
    generated: Sequence[str] | None = None
    free: bool = False

    def offers(self, evaluator: Evaluator) -> bool:
        """Whether this system has what the evaluator needs."""
        without = {
            "reference": self.reference is None, "generation": self.generated is None, "tokens": self.tokens is None
        }  # fmt: skip
        return not any(without.get(need, False) for need in evaluator.needs)

    def rankings(self, rows: Rows) -> dict[str, Ranked]:
        """By suffix of the metric's name: as scored, and for sums of log-probabilities also by their mean per token."""
        mean = None
        if self.tokens is not None and (self.tokens != 1).any():
            mean = self.scores / self.tokens  # before anything is marked in the scores
        found = {"": Ranked.of(rows, self.scores, self.reference, self.generated, self.tokens, free=self.free)}
        if mean is not None:
            found["/mean"] = Ranked.of(rows, mean, tokens=self.tokens, free=True)
        return found

    def values(self, rows: Rows, evaluators: Sequence[Evaluator]) -> dict[str, FloatArray]:
        """Metric name -> value of each row."""
        return per_row(self.rankings(rows), self, evaluators)

    def figures(self, rows: Rows, evaluators: Sequence[Evaluator]) -> dict[str, float]:
        """Metrics that are no means over rows, by name."""
        figures: dict[str, float] = {}
        for suffix, ranked in self.rankings(rows).items():
            for evaluator in evaluators:
                if isinstance(evaluator, Totals) and self.offers(evaluator):
                    found = evaluator.figures(evaluator.totals(ranked))
                    figures |= {name + suffix: float(value) for name, value in found.items()}
        return figures

    def places(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """How many candidates score higher than the target, and how many others the same: ``[N]`` each."""
        ranked = Ranked.of(rows, self.scores)
        return ranked.above, ranked.tied

    def target_tokens(self, rows: Rows) -> IntArray | None:
        """``[N]`` tokens of the target's title, where scores are sums over tokens."""
        if self.tokens is None or rows.candidates is None:
            return None
        truth = (rows.candidates == rows.target[:, None]).argmax(axis=1)
        found: IntArray = self.tokens[np.arange(len(rows)), truth]
        return found

    def best(self, rows: Rows, row: int) -> tuple[IntArray, FloatArray]:
        """Candidates of one row, best first, and each one's share of exp(score) in the list."""
        assert rows.candidates is not None
        listed, scores = rows.candidates[row], self.scores[row]
        listed, scores = listed[listed != PAD], scores[listed != PAD]
        order = np.argsort(-scores, kind="stable")
        weight = np.exp(scores - scores.max())
        return listed[order], (weight / weight.sum())[order]

    def columns(self, rows: Rows) -> dict[str, Any]:
        """What its Parquet file holds of each row: the list, every score, and tokens where they mean something."""
        columns: dict[str, Any] = {}
        if rows.candidates is not None:
            columns["candidates"] = list(rows.candidates.astype(np.int32))
        columns["scores"] = list(self.scores)
        if self.tokens is not None:
            columns["tokens"] = list(self.tokens.astype(np.int16))
        return columns


def per_row(rankings: Mapping[str, Ranked], system: System, evaluators: Sequence[Evaluator]) -> dict[str, FloatArray]:
    """Metric name -> value of each row. Rankings by mean log-probability have ``/mean`` behind the name."""
    values: dict[str, FloatArray] = {}
    for suffix, ranked in rankings.items():
        for evaluator in evaluators:
            # a completion, a log-ratio and a mean over tokens are what they are, however candidates are ranked
            if system.offers(evaluator) and not (suffix and evaluator.needs & {"reference", "generation", "tokens"}):
                values |= {name + suffix: column for name, column in evaluator.per_row(ranked).items()}
        values["preference_accuracy" + suffix] = ranked.accuracy()
    return values


def totals(rankings: Mapping[str, Ranked], system: System, evaluators: Sequence[Evaluator]) -> dict[str, FloatArray]:
    """``NUMBER SUFFIX NAME`` of the evaluator, ranking and metric -> total over the rows, which adds up over blocks."""
    return {
        f"{number} {suffix} {name}": total
        for suffix, ranked in rankings.items()
        for number, evaluator in enumerate(evaluators)
        if isinstance(evaluator, Totals) and system.offers(evaluator)
        for name, total in evaluator.totals(ranked).items()
    }


def summarise(rows: Rows, values: Mapping[str, Mapping[str, FloatArray]]) -> dict[str, Any]:
    """Means with 95 % intervals clustered by user, and paired tests of ``model`` against every other system."""
    systems = {
        name: {metric: _interval(column, rows.user) for metric, column in columns.items()}
        for name, columns in values.items()
    }
    comparisons = []
    if MODEL in values:
        for other in [name for name in values if name != MODEL]:
            for metric in [m for m in values[MODEL] if m in values[other]]:
                test = paired(values[MODEL][metric], values[other][metric], rows.user)
                figures = {"difference": test.difference, "low": test.low, "high": test.high, "p": test.p}
                comparisons.append({"a": MODEL, "b": other, "metric": metric, **figures})
    return {"systems": systems, "comparisons": comparisons}


def _interval(column: FloatArray, users: IntArray) -> dict[str, float]:
    value, low, high = interval(column, users)
    return {"value": value, "low": low, "high": high}


def _write(table: pa.Table, path: Path) -> None:
    with whole_file(path) as temporary:
        pq.write_table(table, temporary)


def write_scores(folder: Path, rows: Rows, system: Outcome) -> None:
    """``scores-SYSTEM.parquet``: a line per row with what is kept of the system's ranking."""
    columns = {"row": rows.id, "user": rows.user, "target": rows.target, **system.columns(rows)}
    _write(pa.table(columns), folder / f"scores-{system.name}.parquet")


def write_per_row(folder: Path, rows: Rows, values: Mapping[str, Mapping[str, FloatArray]]) -> None:
    """``per_row.parquet``: a line per row, a column ``SYSTEM/METRIC`` for each value."""
    columns: dict[str, Any] = {"row": rows.id, "user": rows.user, "target": rows.target}
    for system, metrics in values.items():
        columns |= {f"{system}/{metric}": column for metric, column in metrics.items()}
    _write(pa.table(columns), folder / "per_row.parquet")
