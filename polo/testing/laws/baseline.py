"""What every baseline keeps; one that says that it is not for the made-up data is not asked further."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from polo.data import FloatArray, IntArray, Rows, Splits
from polo.protocols import Applies, Baseline
from polo.testing.subject import Subject

_LIST = 12


def scores_every_candidate(subject: Subject) -> None:
    """A finite score of each candidate of each row."""
    for _, rows, lists, scores in _fitted(subject):
        assert scores.shape == lists.shape, f"scores {scores.shape} of lists {lists.shape}"
        assert np.isfinite(scores).all(), "scores are finite"
        assert len(rows)


def scores_alike_again(subject: Subject) -> None:
    """Calling twice, and fitting anew, gives the same scores."""
    for baseline, rows, lists, scores in _fitted(subject):
        assert np.array_equal(baseline.score(rows, lists), scores), "calling twice gives the same scores"
        for _, _, _, again in _fitted(subject):
            assert np.array_equal(again, scores), "fitting anew gives the same scores"


def rows_stand_alone(subject: Subject) -> None:
    """A row's scores do not depend on other rows, so that an evaluation can be done in parts."""
    some = np.array([7, 2, 5])
    for baseline, rows, lists, scores in _fitted(subject):
        part = baseline.score(rows[some], lists[some])
        assert np.allclose(part, scores[some], rtol=1e-9), "a row's scores depend on that row alone"


def learns_from_training_alone(subject: Subject) -> None:
    """Validation and test rows, and what is known from them, change nothing."""
    for _, rows, lists, scores in _fitted(subject):
        splits = subject.splits
        other = replace(splits, test=_turned(splits.test), valid=_turned(splits.valid), known_all=splits.known_train)
        for baseline, _, _, _ in _fitted(subject, other):
            assert np.array_equal(baseline.score(rows, lists), scores), "it learns from the training split alone"


def changes_no_input(subject: Subject) -> None:
    """Rows and lists are the same after a call."""
    for _, rows, lists, _ in _fitted(subject):  # which it scored already
        before = _lists(subject), subject.splits.test.history, subject.splits.test.user
        assert all(map(np.array_equal, before, (lists, rows.history, rows.user))), "the inputs are not changed"


def _fitted(subject: Subject, splits: Splits | None = None) -> Iterator[tuple[Baseline, Rows, IntArray, FloatArray]]:
    """The baseline with test rows, their lists and its scores of them; nothing if it is not for these data."""
    splits = splits or subject.splits
    baseline: Baseline = subject.new(splits)
    if isinstance(baseline, Applies) and not baseline.applies(splits):
        return
    baseline.fit(splits)
    rows, lists = copy.deepcopy(subject.splits.test), _lists(subject)
    yield baseline, rows, lists, np.array(baseline.score(rows, lists))


def _lists(subject: Subject) -> IntArray:
    rng, n = np.random.default_rng(0), len(subject.splits.items)
    return np.stack([rng.choice(n, _LIST, replace=False) for _ in range(len(subject.splits.test))]).astype(np.int64)


def _turned(rows: Rows) -> Rows:
    """The same rows with the targets of each other."""
    return replace(rows, target=np.roll(rows.target, 1))


LAWS = (scores_every_candidate, scores_alike_again, rows_stand_alone, learns_from_training_alone, changes_no_input)
