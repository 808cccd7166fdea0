"""Early stopping: when a stage ends, what it hands on, and that going on in the middle changes nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from polo.errors import InputError
from polo.model.weights import digest, snapshot
from polo.recipe.model import Epochs, Validate
from polo.train import loop
from polo.train.loop import train
from polo.train.schedule import validation_steps
from tests.train.jobs import Crash, job, stage_of


def figures(run: Any) -> list[tuple[int, float]]:
    return [(line["step"], line["valid/hit_ratio@1"]) for line in run.metrics() if "valid/hit_ratio@1" in line]


def waiting(**changes: Any) -> Any:
    plain = {"steps": 30, "lr": 5.0, "schedule": "constant", "warmup": 0.0, "checkpoint": 3}
    return stage_of(**{**plain, "validate": Validate(every=2, patience=3), **changes})


def test_a_stage_ends_after_as_many_measurements_that_were_no_better(tmp_path: Path) -> None:
    made, run = job(tmp_path, waiting())
    train(made)
    seen = figures(run)
    best = max(range(len(seen)), key=lambda at: seen[at][1])  # the first of equals
    assert len(seen) - 1 == best + 3
    assert max(line["step"] for line in run.metrics() if "loss" in line) == seen[-1][0] - 1 < 29


@pytest.mark.parametrize("crash_at", [2, 6, 9, 12])
@pytest.mark.parametrize("select", ["last", "best_valid"])
def test_law_a_stage_that_waits_goes_on_exactly_wherever_it_is_killed(
    tmp_path: Path, crash_at: int, select: str
) -> None:
    whole, log = job(tmp_path / "whole", waiting(select=select))
    train(whole)
    first, _ = job(tmp_path / "cut", waiting(select=select), crash_at=crash_at)
    if crash_at < figures(log)[-1][0]:
        with pytest.raises(Crash):
            train(first)
    second, cut = job(tmp_path / "cut", waiting(select=select))
    train(second)
    assert digest(snapshot(whole.policy.module)) == digest(snapshot(second.policy.module))
    assert log.metrics() == cut.metrics()


def test_a_stage_that_was_out_of_patience_when_it_was_saved_takes_no_further_step(tmp_path: Path) -> None:
    stage = waiting(checkpoint=1)
    made, run = job(tmp_path, stage)
    train(made)
    lines = run.metrics()
    again, _ = job(tmp_path, stage)  # its last checkpoint is of the step at which it ended
    train(again)
    assert run.metrics() == lines
    assert digest(snapshot(made.policy.module)) == digest(snapshot(again.policy.module))


def test_a_stage_in_which_nothing_was_better_hands_on_what_it_began_with_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    made, _ = job(tmp_path, waiting(select="best_valid"))
    start = digest(snapshot(made.policy.module))
    made.console.say = lambda line, style="": said.append(line)  # type: ignore[method-assign]
    fallen = iter([0.5, 0.4, 0.5, 0.1])
    monkeypatch.setattr(loop, "_of_first", lambda figure, accelerator: next(fallen))
    train(made)
    assert digest(snapshot(made.policy.module)) == start
    assert "prefer: ended after step 6 of 30: no measurement since step 0 was better (patience 3)" in said
    assert said[-1] == "prefer: hands on the weights that it began with, as nothing was better (validation HR@1 0.500)"


def test_a_stage_that_must_be_measured_and_cannot_be_is_refused(tmp_path: Path) -> None:
    for stage in (waiting(), stage_of(select="best_valid")):
        made, _ = job(tmp_path, stage)
        with pytest.raises(InputError, match=r"stages\.prefer\.validate: there are no validation rows"):
            train(replace(made, validation=made.validation[:0]))


@pytest.mark.parametrize(
    ("epochs", "measured"),
    [(1.0, [0, 3, 6, 9, 12]), (0.5, [0, 2, 3, 4, 6, 8, 9, 10, 12]), (0.01, list(range(13))), (7.0, [0, 12])],
)
def test_a_stage_is_measured_by_epochs(tmp_path: Path, epochs: float, measured: list[int]) -> None:
    """24 rows in batches of 10 are 3 steps an epoch; half steps round to the even one."""
    made, run = job(tmp_path, stage_of(validate=Validate(every=Epochs(epochs=epochs))))
    train(made)
    assert [step for step, _ in figures(run)] == measured


def test_epochs_are_told_from_the_start_without_drift() -> None:
    """7 steps an epoch, measured every third of one: the third measurement is at the epoch's end, always."""
    third = stage_of(steps=700, validate=Validate(every=Epochs(epochs=1 / 3)))
    assert set(range(0, 700, 7)) <= set(validation_steps(third, 700, 7))


def test_patience_without_measurements_on_the_way_is_refused() -> None:
    with pytest.raises(InputError, match="patience needs measurements on the way"):
        Validate(every=0, patience=2)
