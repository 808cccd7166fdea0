"""Early stopping: when a stage ends, what it hands on, and that going on in the middle changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo.candidates import attach_all
from polo.data import FloatArray, Ragged, Whole
from polo.errors import InputError
from polo.model.weights import digest, snapshot
from polo.protocols import Ranked
from polo.recipe.model import Epochs, Validate
from polo.testing import context, small_splits
from polo.train import loop
from polo.train.loop import train
from polo.train.schedule import validation_steps
from polo.train.validation import figure_of, listed, look
from polo_metrics.catalogue import Coverage
from polo_metrics.options import AtK
from polo_metrics.ranking import NDCG
from tests.toy_policy import ToyPolicy, toy_rows
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


class Falling:
    """A metric that falls with each look, whatever the policy does."""

    needs = frozenset({"ranks"})

    def __init__(self) -> None:
        self.looks = 0

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        self.looks += len(ranked.rows) > 1
        return {"falling": np.full(len(ranked.rows), 1.0 / self.looks if self.looks else 1.0)}


def test_measurements_are_compared_by_the_metric_that_is_asked_for(tmp_path: Path) -> None:
    said: list[str] = []
    made, run = job(tmp_path, waiting(select="best_valid"), metric=Falling())
    start = digest(snapshot(made.policy.module))
    made.console.say = lambda line, style="": said.append(line)  # type: ignore[method-assign]
    train(made)
    told = [(line["step"], line["valid/falling"]) for line in run.metrics() if "valid/falling" in line]
    assert told == [(0, 1.0), (2, 1 / 2), (4, 1 / 3), (6, 1 / 4)], "the best is the first; three more are waited for"
    assert digest(snapshot(made.policy.module)) == start
    assert "falling 0.500 [0.500, 0.500]" in next(line for line in said if "step 2:" in line)
    assert (
        said[-1] == "prefer: hands on the weights that it began with, as nothing was better (validation falling 1.000)"
    )
    assert figures(run), "the hit ratio is told all the same"


def test_a_metric_is_the_same_of_lists_and_of_a_whole_catalogue() -> None:
    """Rows that rank a whole catalogue of 40, and the same rows with lists of these 40."""
    policy, rows = ToyPolicy(), toy_rows(12, seed=1)
    everything = np.tile(np.arange(40), (12, 1))
    none = Ragged(np.empty(0, np.int64), np.zeros(13, np.int64))
    metric = NDCG(AtK(k=(20,)), None)
    lists = look(policy, rows.with_candidates(everything), 1000, metric)
    whole = look(policy, replace(rows, whole=Whole(40, none)), 1000, metric)
    assert lists is not None
    assert whole is not None
    assert lists.asked is not None
    assert whole.asked is not None
    assert 0 < lists.asked.mean() < 1
    np.testing.assert_allclose(whole.asked, lists.asked)
    assert whole.lists is None
    assert lists.lists is not None


def test_an_evaluator_with_several_figures_or_none_of_each_row_is_refused() -> None:
    with pytest.raises(InputError, match=r"has ndcg@1, ndcg@5, ndcg@10\n.*one length"):
        figure_of(NDCG(AtK(), None))
    with pytest.raises(InputError, match=r"has none\n"):
        figure_of(Coverage(AtK(), context(splits=small_splits())))


def test_law_lists_in_the_place_of_a_whole_catalogue_hold_the_target_and_nothing_masked() -> None:
    splits = small_splits(users=6, items=30)
    rows = attach_all(splits, splits.valid, split="valid")
    found = listed(rows)
    assert found.candidates is not None
    assert rows.whole is not None
    assert found.candidates.shape == (len(rows), 20)
    assert (found.candidates[:, 0] == rows.target).all()
    for i, line in enumerate(found.candidates):
        assert len(set(line.tolist())) == 20
        assert not set(line.tolist()) & set(rows.whole.without[i : i + 1].items.tolist())
    backwards = listed(rows[::-1])
    assert backwards.candidates is not None
    assert (backwards.candidates[::-1] == found.candidates).all(), "a row's list is its own"


def test_collapse_is_watched_for_where_a_whole_catalogue_is_ranked(tmp_path: Path) -> None:
    made, run = job(tmp_path, stage_of(steps=2))
    none = Ragged(np.empty(0, np.int64), np.zeros(13, np.int64))
    train(replace(made, validation=replace(made.validation, candidates=None, whole=Whole(40, none))))
    looks = [line for line in run.metrics() if "valid/hit_ratio@1" in line]
    assert len(looks) == 3
    assert all(line["valid/loss"] > 0 and 0 <= line["valid/boundary"] <= 1 for line in looks)


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
