"""What every tracker keeps. A tracker that sends what it is told somewhere needs options that keep it offline."""

from __future__ import annotations

from polo.protocols import Tracker
from polo.testing.subject import Subject

#: lines as a run writes them: of a step, of a validation, of another stage
LINES = (
    {"stage": "prefer", "step": 0, "epoch": 0.0, "loss": 0.69, "rewards/margins": 0.0, "seconds": 0.1},
    {"stage": "prefer", "step": 1, "epoch": 0.1, "loss": float("inf"), "rewards/margins": float("nan")},
    {"stage": "prefer", "step": 1, "valid/hit_ratio@1": 0.25, "valid/collapse": 0.0},
    {"stage": "second", "step": 0, "epoch": 0.0, "loss": 0.69},
)


def takes_every_line(subject: Subject) -> None:
    """Every line of a run is taken: steps, validations, stages, and numbers that are not finite."""
    tracker: Tracker = subject.new()
    for line in LINES:
        tracker.log(dict(line))
    tracker.close()


def closes_without_a_line(subject: Subject) -> None:
    """A run that ends before its first step closes its trackers too."""
    tracker: Tracker = subject.new()
    tracker.close()


def changes_no_line(subject: Subject) -> None:
    """A line is the same after it was logged, for whoever is told next."""
    tracker: Tracker = subject.new()
    for line in LINES:
        given = dict(line)
        tracker.log(given)
        assert repr(given) == repr(line), "the line is not changed"
    tracker.close()


LAWS = (takes_every_line, closes_without_a_line, changes_no_line)
