"""The scorer `calibrated`: what a history adds to a title, with popularity in the place of the model's own preference.

Knows scorers by their contract; knows no policy.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import numpy as np
from annotated_types import Ge

from polo.context import Choice, Context
from polo.data import PAD, FloatArray, IntArray, Rows
from polo.errors import InputError
from polo.model.scoring import PolicyScorerOptions
from polo.plugin.component import Ref
from polo.protocols import Every, InParts, Need, Numbers, Policy, RanksAll, Reports, Scorer, Together


def _policy() -> Choice:
    return Choice("scorer", "policy", PolicyScorerOptions())


@dataclass(frozen=True, kw_only=True)
class CalibratedOptions:
    """Options of the scorer ``calibrated``."""

    #: what scores
    from_: Ref["scorer"] = field(default_factory=_policy)
    #: weight of ``log(n + 1)``, n how often the training sequences hold the item; 0: every item is as likely beforehand
    prior: Annotated[float, Ge(0)] = 1.0


class CalibratedScorer:
    """``score(c) = s(c | history) - s(c | nothing shown) + prior * log(n_c + 1)``.

    Where s is a log-probability the difference is the pointwise mutual information of title and history: a model that
    spells titles out prefers short and plain ones whatever was shown (surface form competition, Holtzman et al., arXiv
    2104.08315; calibration by an empty prompt, Zhao et al., arXiv 2102.09690). What is subtracted is put back as the
    items' share of the training events, as logits are adjusted to a prior (Menon et al., arXiv 2007.07314).

    A policy under which a title's score does not depend on the history ranks by popularity, whatever it prefers. The
    scores are no log-probabilities: evaluators that read these out of them are refused. Training and its validation
    take the policy's own.
    """

    rescores = True
    #: of policies: what is shown must be all that tells one row from another
    asks: frozenset[Need] = frozenset({"history"})
    part_rows: int

    def __init__(self, options: CalibratedOptions, context: Context) -> None:
        splits = context.splits
        if splits is None or splits.own is not None:
            raise InputError(
                "scorer 'calibrated' needs a catalogue that all rows share",
                where="evaluate.scorer",
                fix="leave it out",
            )
        self._inner: Scorer = context.build(options.from_)
        self.together = isinstance(self._inner, Together) and self._inner.together
        if isinstance(self._inner, InParts):
            self.part_rows = self._inner.part_rows
        counts = np.bincount(splits.sequences.items, minlength=len(splits.items))
        self._popular: FloatArray = options.prior * np.log1p(counts)
        some = splits.test[:1] if len(splits.test) else splits.train[:1]
        self._nothing = replace(some, history=np.full_like(some.history, PAD), candidates=None, whole=None)

    @property
    def report(self) -> Mapping[str, Any] | None:
        """What ``from`` has to say."""
        return self._inner.report if isinstance(self._inner, Reports) else None

    def score(self, policy: Policy, rows: Rows, candidates: IntArray) -> tuple[FloatArray, IntArray]:
        scores, _ = self._inner.score(policy, rows, candidates)
        items, place = np.unique(candidates, return_inverse=True)
        alone, _ = self._inner.score(policy, self._nothing, items[None])
        return scores + (self._popular[items] - alone[0])[place].reshape(scores.shape), np.ones_like(candidates)

    def every(self, policy: Policy) -> Every:
        """As :class:`~polo.protocols.RanksAll` says.

        Raises:
            InputError: ``from`` takes lists only.
        """
        if not isinstance(self._inner, RanksAll):
            raise InputError("`from` scores lists only", where="evaluate.scorer", fix="give candidates.n a number")
        score = self._inner.every(policy)
        everything = np.arange(len(self._popular))[None]
        shift = self._popular - np.asarray(score(self._nothing.with_candidates(everything))[0], np.float64)[0]

        def calibrated(rows: Rows) -> tuple[Numbers, None]:
            scores, _ = score(rows)
            scores += shift.astype(scores.dtype)
            return scores, None

        return calibrated
