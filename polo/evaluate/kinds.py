"""The two kinds of what is ranked for a row, and how a system comes to rank it. Knows scorers and baselines.

Everything that follows (metrics, slices, examples, files) takes what comes out alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from polo.data import FloatArray, IntArray, Rows
from polo.errors import PoloError
from polo.evaluate import whole
from polo.evaluate.metrics import Outcome, System
from polo.evaluate.resume import Parts
from polo.protocols import Baseline, Evaluator, Policy


class Kind(Protocol):
    """How rows are ranked."""

    def baseline(self, name: str, baseline: Baseline) -> Outcome:
        """A fitted baseline's ranking."""

    def policy(self, stage: str, called: str, policy: Policy, reference: str | None) -> Outcome:
        """The policy's, with the weights of a stage.

        Args:
            stage: whose weights the policy has.
            called: name of the system in results.
            policy: is put into eval mode and back.
            reference: a stage that was ranked before, whose scores some evaluators look at.
        """


def kind_of(rows: Rows, evaluators: Sequence[Evaluator], parts: Parts) -> Kind:
    """The kind of the rows: their own lists, or the whole catalogue.

    Raises:
        PoloError: there is nothing to rank for them.
    """
    if rows.whole is not None:
        return _Catalogue(rows, evaluators, parts)
    if rows.candidates is None:
        raise PoloError("rows without candidate lists cannot be evaluated")
    return _Lists(rows, rows.listed, evaluators, parts)


class _Lists:
    """Candidate lists: all scores are kept."""

    def __init__(self, rows: Rows, lists: IntArray, evaluators: Sequence[Evaluator], parts: Parts) -> None:
        self._rows, self._lists, self._parts = rows, lists, parts
        self._generating = any("generation" in evaluator.needs for evaluator in evaluators)
        self._by_stage: dict[str, FloatArray] = {}

    def baseline(self, name: str, baseline: Baseline) -> Outcome:
        return System(name, baseline.score(self._rows, self._lists))

    def policy(self, stage: str, called: str, policy: Policy, reference: str | None) -> Outcome:
        scores, tokens = self._parts.scores(stage, policy, self._rows)
        self._by_stage[stage] = scores
        generated = self._parts.completions(stage, policy, self._rows) if self._generating else None
        return System(called, scores, tokens, self._by_stage.get(reference or ""), generated)


class _Catalogue:
    """The whole catalogue: scores are looked at block by block and not kept."""

    def __init__(self, rows: Rows, evaluators: Sequence[Evaluator], parts: Parts) -> None:
        self._rows, self._evaluators, self._parts = rows, evaluators, parts

    def baseline(self, name: str, baseline: Baseline) -> Outcome:
        def score(block: Rows) -> tuple[FloatArray, None]:
            assert block.candidates is not None
            return np.array(baseline.score(block, block.candidates), np.float64), None

        return whole.Kept(name, whole.measure(self._rows, self._evaluators, score))

    def policy(self, stage: str, called: str, policy: Policy, reference: str | None) -> Outcome:
        return whole.Kept(called, self._parts.kept(stage, policy, self._rows, self._evaluators))
