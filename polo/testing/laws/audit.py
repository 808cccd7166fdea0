"""What every audit keeps, whatever the data: with lists, with lists of the file, with none, and very small."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from polo.audit.verdicts import audited
from polo.data import Splits
from polo.protocols import Applies, Audit, Audited, Finding, OfLists
from polo.recipe.model import Candidates
from polo.testing.subject import Subject
from polo.testing.world import small_splits

VERDICTS = ("ok", "warn", "fail")


def finds_something_to_say(subject: Subject) -> None:
    """A finding with a verdict of ok, warn or fail, a sentence, and a figure that is a number or none."""
    for _, finding in _findings(subject):
        assert isinstance(finding, Finding), f"a polo.Finding, not {type(finding).__name__}"
        assert finding.verdict in VERDICTS, f"verdict {finding.verdict!r} is none of {', '.join(VERDICTS)}"
        assert finding.meaning.strip(), "a sentence says what the figure means"
        assert finding.figure is None or math.isfinite(finding.figure), f"figure {finding.figure} is no number"


def says_what_to_do(subject: Subject) -> None:
    """What is not ok comes with what to do about it."""
    for _, finding in _findings(subject):
        assert finding.verdict == "ok" or finding.fix.strip(), f"verdict {finding.verdict} without a fix"


def finds_the_same_again(subject: Subject) -> None:
    """The same data give the same finding, whoever built the audit."""
    for seen, finding in _findings(subject):
        audit: Audit = subject.new(seen.splits)
        assert audit.check(seen) == finding, "the same data give the same finding"


def changes_no_input(subject: Subject) -> None:
    """Rows and lists are the same afterwards."""
    for seen in _worlds(subject):
        audit: Audit = subject.new(seen.splits)
        tables = [rows.target for rows in (seen.splits.train, seen.splits.test)]
        tables += [rows.candidates for rows in seen.lists.values() if rows.candidates is not None]
        before = [table.copy() for table in tables]
        audit.check(seen)
        assert all(map(np.array_equal, before, tables)), "the inputs are not changed"


def _findings(subject: Subject) -> Iterator[tuple[Audited, Finding]]:
    for seen in _worlds(subject):
        audit: Audit = subject.new(seen.splits)
        yield seen, audit.check(seen)


def _worlds(subject: Subject) -> Iterator[Audited]:
    """What it is shown; without what it says that it is not for."""
    for splits, candidates in _data(subject.splits):
        audit = subject.new(splits)
        if isinstance(audit, Applies) and not audit.applies(splits):
            continue
        if candidates.n == "all" and isinstance(audit, OfLists) and "lists" in audit.needs:
            continue
        yield audited(splits, candidates)


def _data(splits: Splits) -> list[tuple[Splits, Candidates]]:
    return [
        (splits, Candidates(n=8)),
        (small_splits(lists=8, seed=1), Candidates(n=8, negatives="file")),
        (splits, Candidates(n="all")),
        (small_splits(users=2, items=12, seed=2), Candidates(n=2)),
    ]


LAWS = (finds_something_to_say, says_what_to_do, finds_the_same_again, changes_no_input)
