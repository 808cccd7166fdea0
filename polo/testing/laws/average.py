"""What every average of weights keeps."""

from __future__ import annotations

from itertools import product

from polo.protocols import Average
from polo.testing.subject import Subject

#: (step, total, epoch): stages of a step, of parts of an epoch, and of several
_CALLS = [
    (step, total, epoch)
    for total, epoch in product((1, 7, 40), (1, 3, 100))
    for step in sorted({1, (total + 1) // 2, total})
]


def gives_a_share(subject: Subject) -> None:
    """A share from 0 to 1 at every step of a stage of any length."""
    average: Average = subject.new()
    for step, total, epoch in _CALLS:
        share = average.share(step, total, epoch)
        assert 0 <= share <= 1, f"a share from 0 to 1, not {share} at step {step} of {total}, {epoch} of them an epoch"


def is_a_function_of_its_arguments(subject: Subject) -> None:
    """The same step has the same share, whatever was asked before: a run that goes on asks for some steps alone."""
    average: Average = subject.new()
    shares = [average.share(*call) for call in _CALLS]
    other: Average = subject.new()
    backwards = [other.share(*call) for call in reversed(_CALLS)]
    assert backwards[::-1] == shares, "a share depends on what was asked before"


LAWS = (gives_a_share, is_a_function_of_its_arguments)
