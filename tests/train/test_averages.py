"""Averaged weights: what the mean is, where it takes the weights' place, and that going on changes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn

from polo.errors import PoloError
from polo.model.sharding import spread, whole
from polo.model.weights import digest, restore, snapshot, trainable
from polo.protocols import Average
from polo.recipe.model import Stage, Validate
from polo.testing import context
from polo.train.average_options import EmaOptions, LastOptions
from polo.train.averages import Ema, Last, Mean
from polo.train.loop import Job, train
from polo.train.validation import look
from tests.processes import together
from tests.toy_objective import Pairs
from tests.toy_policy import ToyPolicy
from tests.train.jobs import Crash, job, stage_of

Weights = dict[str, Tensor]


def ema(decay: float, *, warm: bool = False) -> Average:
    return Ema(EmaOptions(decay=decay, warm=warm), context())


def last(epochs: float) -> Average:
    return Last(LastOptions(epochs=epochs), context())


def measured(**changes: Any) -> Stage:
    """24 rows in batches of 10: 12 steps are 4 epochs of 3."""
    return stage_of(**{"validate": Validate(every=3), **changes})


def trained(folder: Path, stage: Stage, average: Average | None) -> tuple[Job, Any, list[Weights]]:
    """A job that has run, its folder, and the weights before it and after each of its steps."""
    made, run = job(folder, stage, average=average)
    seen, inner = [snapshot(made.policy.module)], made.log

    def log(line: Mapping[str, Any]) -> None:
        inner(line)
        if "loss" in line:
            seen.append(snapshot(made.policy.module))

    train(replace(made, log=log))
    return made, run, seen


def mean_of(several: list[Weights]) -> Weights:
    return {name: torch.stack([one[name] for one in several]).mean(dim=0) for name in several[0]}


def test_last_is_the_mean_of_the_weights_after_the_steps_of_the_last_epochs(tmp_path: Path) -> None:
    """Two epochs are the last 6 of 12 steps; half an epoch is 2 of 3, as halves are rounded to the even one."""
    for epochs, steps in ((2, 6), (0.5, 2), (0.1, 1), (99, 12)):
        made, _, seen = trained(tmp_path / str(epochs), measured(), last(epochs))
        torch.testing.assert_close(snapshot(made.policy.module), mean_of(seen[-steps:]), rtol=1e-12, atol=1e-14)


def test_ema_is_what_its_formula_says(tmp_path: Path) -> None:
    """By hand for decay d: m_0 = w_0, m_t = d m_(t-1) + (1 - d) w_t; warm with d_t = min(d, (1 + t) / (10 + t))."""
    for warm in (False, True):
        made, _, seen = trained(tmp_path / str(warm), measured(), ema(0.3, warm=warm))
        mean = seen[0]
        for step, now in enumerate(seen[1:], start=1):
            d = min(0.3, (1 + step) / (10 + step)) if warm else 0.3
            mean = {name: d * mean[name] + (1 - d) * now[name] for name in mean}
        torch.testing.assert_close(snapshot(made.policy.module), mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("select", ["last", "best_valid"])
def test_law_ema_that_keeps_nothing_is_no_averaging(tmp_path: Path, select: str) -> None:
    with_it, one, _ = trained(tmp_path / "with", measured(select=select), ema(0.0))
    without, other, _ = trained(tmp_path / "without", measured(select=select), None)
    assert one.metrics() == other.metrics()
    assert digest(snapshot(with_it.policy.module)) == digest(snapshot(without.policy.module))


def test_a_mean_changes_no_step_of_the_training(tmp_path: Path) -> None:
    _, one, seen = trained(tmp_path / "with", measured(), ema(0.9))
    _, other, expected = trained(tmp_path / "without", measured(), None)
    assert [line for line in one.metrics() if "loss" in line] == [line for line in other.metrics() if "loss" in line]
    assert all(digest(a) == digest(b) for a, b in zip(seen, expected, strict=True))


def test_what_is_measured_is_the_mean(tmp_path: Path) -> None:
    """After 9 of 12 steps the mean of the last two epochs holds steps 7 to 9; after 6 it has not begun."""
    made, run, seen = trained(tmp_path, measured(), last(2))
    told = {line["step"]: line["valid/logps/chosen"] for line in run.metrics() if "valid/logps/chosen" in line}
    for step, mean in {0: seen[0], 6: seen[6], 9: mean_of(seen[7:10]), 12: mean_of(seen[7:13])}.items():
        restore(made.policy.module, mean)
        found = look(made.policy, made.validation, 10**6)
        assert found is not None
        assert told[step] == pytest.approx(float(found.chosen.mean()), rel=1e-12)


def test_the_best_weights_are_the_mean_as_it_was_then(tmp_path: Path) -> None:
    made, run, seen = trained(tmp_path, measured(lr=1.0, select="best_valid"), ema(0.5))
    told = {line["step"]: line["valid/hit_ratio@1"] for line in run.metrics() if "valid/hit_ratio@1" in line}
    best = max(told, key=lambda step: (told[step], -step))
    mean = seen[0]
    for now in seen[1 : best + 1]:
        mean = {name: 0.5 * mean[name] + 0.5 * now[name] for name in mean}
    torch.testing.assert_close(snapshot(made.policy.module), mean, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("crash_at", [0, 4, 7, 10])
@pytest.mark.parametrize("select", ["last", "best_valid"])
@pytest.mark.parametrize("average", [ema(0.9), last(1.5)], ids=["ema", "last"])
def test_law_a_stage_with_a_mean_goes_on_exactly_wherever_it_is_killed(
    tmp_path: Path, crash_at: int, select: str, average: Average
) -> None:
    whole_one, log = job(tmp_path / "whole", measured(select=select), average=average)
    train(whole_one)
    first, _ = job(tmp_path / "cut", measured(select=select), average=average, crash_at=crash_at)
    with pytest.raises(Crash):
        train(first)
    second, cut = job(tmp_path / "cut", measured(select=select), average=average)
    train(second)
    assert digest(snapshot(whole_one.policy.module)) == digest(snapshot(second.policy.module))
    assert log.metrics() == cut.metrics()


def test_a_mean_of_half_precision_does_not_lose_small_steps() -> None:
    """A thousand times a thousandth of the way from 0 to 1; in bfloat16 it would stand still at 1/4 at the latest."""
    module = nn.Linear(1, 1, bias=False, dtype=torch.bfloat16)
    with torch.no_grad():
        module.weight.zero_()
        mean = Mean(module, ema(0.999), 1000, 1)
        module.weight.fill_(1.0)
    for step in range(1000):
        mean.take(step + 1)
    assert mean.weights["weight"].item() == pytest.approx(1 - 0.999**1000, rel=1e-4)
    with mean.used():
        assert module.weight.dtype == torch.bfloat16
        assert module.weight.item() == pytest.approx(0.632, abs=0.002)
    assert module.weight.item() == 1.0


@pytest.mark.parametrize("share", [-0.1, 1.5, float("nan")])
def test_a_share_that_is_none_is_refused(share: float) -> None:
    class Wrong:
        def share(self, step: int, total: int, epoch: int) -> float:
            return share

    with pytest.raises(PoloError, match=f"a share of {share}"):
        Mean(nn.Linear(1, 1), Wrong(), 1, 1).take(1)


def in_processes(accelerator: Accelerator, folder: Path) -> list[Weights]:
    """What stages end with whose weights are whole in both processes, or spread over them, killed in the middle."""
    found = []
    for shard in (False, True):
        for average in (ema(0.5), last(2)):
            place = folder / f"{shard}-{type(average).__name__}"
            for crash_at in (7, None):
                made, _ = job(place, measured(select="best_valid"), loss=Pairs(), average=average, crash_at=crash_at)
                policy = ToyPolicy()
                policy.module = spread(policy.module, accelerator, shard=shard)
                quiet = made.log if accelerator.is_main_process else _crashing(crash_at)
                made = replace(made, policy=policy, accelerator=accelerator, log=quiet)
                if crash_at is None:
                    train(made)
                else:
                    with pytest.raises(Crash):
                        train(made)
                accelerator.wait_for_everyone()
            weights = trainable(policy.module)
            found.append({name: whole(p.detach()).clone() for name, p in weights.items()})
    return found


def _crashing(at: int | None) -> Any:
    def log(line: Mapping[str, Any]) -> None:
        if at is not None and "loss" in line and line["step"] == at:
            raise Crash

    return log


def test_law_two_processes_keep_the_mean_of_one_whole_and_sharded_and_go_on(tmp_path: Path) -> None:
    judges = []
    for average in (ema(0.5), last(2)):
        made, _ = job(tmp_path / f"one-{type(average).__name__}", measured(select="best_valid"), loss=Pairs(),
                      average=average)  # fmt: skip
        made = replace(made, policy=ToyPolicy())
        train(made)
        judges.append(snapshot(made.policy.module))
    for rank in together(in_processes, tmp_path, 2):
        for at, weights in enumerate(rank):
            torch.testing.assert_close(weights, judges[at % 2], rtol=1e-8, atol=1e-10)
