"""The loop of a stage: going on from a checkpoint is exact, damage is survived, the best weights can be kept."""

from __future__ import annotations

import signal
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo.errors import PoloError
from polo.model.reference import Reference, ScoreCache
from polo.model.weights import digest, snapshot
from polo.recipe.model import Validate
from polo.train import checkpoint
from polo.train.interrupt import Interrupted
from polo.train.loop import Job, train
from polo.train.schedule import learning_rate, steps_of
from tests.toy_objective import FirstK, Pairs
from tests.toy_policy import ToyPolicy
from tests.train.jobs import Crash, job, stage_of


@pytest.mark.parametrize("crash_at", [2, 4, 6, 11])
def test_going_on_after_a_crash_gives_the_same_weights_and_metrics(tmp_path: Path, crash_at: int) -> None:
    whole, log = job(tmp_path / "whole", stage_of(validate=Validate(every=3)))
    train(whole)
    first, _ = job(tmp_path / "cut", stage_of(validate=Validate(every=3)), crash_at=crash_at)
    with pytest.raises(Crash):
        train(first)
    second, cut = job(tmp_path / "cut", stage_of(validate=Validate(every=3)))
    train(second)
    assert digest(snapshot(whole.policy.module)) == digest(snapshot(second.policy.module))
    assert log.metrics() == cut.metrics()


@pytest.mark.parametrize(
    ("steps", "validate", "measured"),
    [
        (12, Validate(), [0, 2, 4, 6, 8, 10, 12]),
        (30, Validate(), [0, 3, 6, 9, 12, 15, 18, 21, 24, 27, 30]),
        (3, Validate(), [0, 1, 2, 3]),
        (12, Validate(every=5), [0, 5, 10, 12]),
        (12, Validate(every=0), [0, 12]),
    ],
)
def test_a_stage_is_measured_every_tenth_of_it_unless_told_otherwise(
    tmp_path: Path, steps: int, validate: Validate, measured: list[int]
) -> None:
    made, log = job(tmp_path, stage_of(steps=steps, validate=validate))
    train(made)
    lines = [line for line in log.metrics() if "valid/hit_ratio@1" in line]
    assert [line["step"] for line in lines] == measured
    for line in lines:
        assert line["valid/hit_ratio@1/low"] <= line["valid/hit_ratio@1"] <= line["valid/hit_ratio@1/high"]


def test_measuring_more_often_changes_no_weight(tmp_path: Path) -> None:
    often, _ = job(tmp_path / "often", stage_of())
    seldom, _ = job(tmp_path / "seldom", stage_of(validate=Validate(every=0)))
    train(often)
    train(seldom)
    assert digest(snapshot(often.policy.module)) == digest(snapshot(seldom.policy.module))


def test_going_on_is_exact_with_the_default_measurements_too(tmp_path: Path) -> None:
    stage = stage_of(select="best_valid", checkpoint=3)
    whole, log = job(tmp_path / "whole", stage)
    train(whole)
    first, _ = job(tmp_path / "cut", stage, crash_at=7)
    with pytest.raises(Crash):
        train(first)
    second, cut = job(tmp_path / "cut", stage)
    train(second)
    assert digest(snapshot(whole.policy.module)) == digest(snapshot(second.policy.module))
    assert log.metrics() == cut.metrics()


@pytest.mark.parametrize(("lr", "best"), [(1.0, 8), (5.0, 6)])
def test_best_valid_survives_a_crash_and_hands_on_the_best_weights(tmp_path: Path, lr: float, best: int) -> None:
    """The best step lies before the crash, and the weights handed on are those of a stage that ends there."""
    constant: dict[str, Any] = {"lr": lr, "schedule": "constant", "warmup": 0.0}
    stage = stage_of(validate=Validate(every=2), select="best_valid", **constant)
    whole, log = job(tmp_path / "whole", stage)
    train(whole)
    hits = [line["valid/hit_ratio@1"] for line in log.metrics() if "valid/hit_ratio@1" in line]
    assert hits.index(max(hits)) == best // 2
    first, _ = job(tmp_path / "cut", stage, crash_at=9)
    with pytest.raises(Crash):
        train(first)
    second, _ = job(tmp_path / "cut", stage)
    train(second)
    ends, _ = job(tmp_path / "ends", stage_of(steps=best, **constant))
    train(ends)
    assert digest(snapshot(whole.policy.module)) == digest(snapshot(ends.policy.module))
    assert digest(snapshot(second.policy.module)) == digest(snapshot(ends.policy.module))


@pytest.mark.parametrize("name", ["optimizer.safetensors", "policy/toy.safetensors", "state.json", "manifest.json"])
def test_a_damaged_checkpoint_is_named_and_the_one_before_is_taken(tmp_path: Path, name: str) -> None:
    first, run = job(tmp_path, stage_of(), crash_at=10)
    with pytest.raises(Crash):
        train(first)
    victim = run.checkpoints / "prefer-8" / name
    raw = bytearray(victim.read_bytes())
    raw[len(raw) // 2] ^= 1
    victim.write_bytes(bytes(raw))
    said: list[str] = []
    found = checkpoint.newest(run.checkpoints, "prefer", said.append)
    assert found == run.checkpoints / "prefer-4"
    # a flipped bit in the manifest makes it wrong about some file, or unreadable
    assert (name if name != "manifest.json" else "prefer-8") in said[0]


def test_when_all_checkpoints_are_damaged_the_error_names_a_file(tmp_path: Path) -> None:
    first, run = job(tmp_path, stage_of(), crash_at=5)
    with pytest.raises(Crash):
        train(first)
    (run.checkpoints / "prefer-4" / "optimizer.safetensors").write_bytes(b"")
    with pytest.raises(PoloError, match=r"optimizer\.safetensors"):
        checkpoint.newest(run.checkpoints, "prefer", lambda line: None)


def test_ctrl_c_saves_and_says_how_to_go_on(tmp_path: Path) -> None:
    one, run = job(tmp_path, stage_of(checkpoint=0))
    before = signal.getsignal(signal.SIGINT)

    def log(line: Mapping[str, Any]) -> None:
        if "loss" in line and line["step"] == 5:
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(Interrupted, match=r"after step 6 of 12 of stage 'prefer'; --resume"):
        train(Job(**{**one.__dict__, "log": log}))
    assert (run.checkpoints / "prefer-6" / "manifest.json").is_file()
    assert signal.getsignal(signal.SIGINT) is before


def test_old_checkpoints_are_removed(tmp_path: Path) -> None:
    one, run = job(tmp_path, stage_of(checkpoint=2))
    train(one)
    assert sorted(p.name for p in run.checkpoints.iterdir()) == ["prefer-10", "prefer-8"]


def test_training_learns(tmp_path: Path) -> None:
    one, run = job(tmp_path, stage_of(steps=150, lr=0.1, checkpoint=0), loss=Pairs())
    train(one)
    losses = [line["loss"] for line in run.metrics() if "loss" in line]
    assert losses[-1] < 0.5 * losses[0]


@given(total=st.integers(1, 400), warmup=st.floats(0, 1), schedule=st.sampled_from(["cosine", "constant"]))
def test_the_learning_rate_rises_to_its_peak_and_never_beyond(total: int, warmup: float, schedule: Any) -> None:
    stage = stage_of(lr=2.0, warmup=warmup, schedule=schedule)
    rates = [learning_rate(stage, step, total) for step in range(total)]
    assert all(0 <= rate <= 2.0 for rate in rates)
    assert max(rates) == pytest.approx(2.0)
    peak = rates.index(max(rates))
    assert rates[: peak + 1] == sorted(rates[: peak + 1])
    assert rates[peak:] == sorted(rates[peak:], reverse=True)


def test_epochs_become_steps() -> None:
    """25 rows in batches of 10 are 3 steps an epoch; 1.5 epochs are round(4.5) = 4 steps (half to even)."""
    assert steps_of(stage_of(steps=None, epochs=2.0), 25) == 6
    assert steps_of(stage_of(steps=None, epochs=1.5), 25) == 4


class Refreshed(FirstK):
    """Remembers at which epochs it was refreshed, and with how many rows."""

    def __init__(self) -> None:
        self.epochs: list[int] = []

    def refresh(self, epoch: int, rows: Any, peek: Any) -> None:
        assert peek(rows[slice(0, 2)], torch.tensor([[1, 2], [3, 4]])).shape == (2, 2)
        assert len(rows) == 24
        self.epochs.append(epoch)


def test_a_sampler_is_refreshed_before_every_epoch_and_not_in_the_middle_of_one(tmp_path: Path) -> None:
    """24 rows in batches of 10 are 3 steps an epoch: 12 steps are epochs 0 to 3; from step 8 on it is epoch 3."""
    first, _ = job(tmp_path, stage_of(), crash_at=9)
    sampler = Refreshed()
    with pytest.raises(Crash):
        train(replace(first, objective=replace(first.objective, sampler=sampler)))
    assert sampler.epochs == [0, 1, 2, 3]
    second, _ = job(tmp_path, stage_of())
    again = Refreshed()
    train(replace(second, objective=replace(second.objective, sampler=again)))
    assert again.epochs == [3]


@pytest.mark.parametrize(("advice", "fix"), [(None, "report this"), ("try this", "try this, and report this")])
def test_a_start_that_is_not_the_reference_is_refused_with_what_the_policy_advises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, advice: str | None, fix: str
) -> None:
    one, _ = job(tmp_path, stage_of())
    if advice is not None:
        monkeypatch.setattr(ToyPolicy, "advice", lambda self, trouble: advice, raising=False)
    frozen = {name: value + 1.0 for name, value in snapshot(one.policy.module).items()}
    reference = Reference(one.policy, frozen, ScoreCache(None, {}, print), 1000)
    with pytest.raises(PoloError, match="the policy and its reference are the same weights, yet differ") as caught:
        train(replace(one, starts_at_reference=True, objective=replace(one.objective, reference=reference)))
    assert caught.value.fix == fix
