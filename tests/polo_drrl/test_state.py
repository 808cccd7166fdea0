"""What a head keeps for each user: a look moves nothing, a killed stage goes on bit for bit, processes agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from polo import PoloError, Scores
from polo.model.sharding import spread
from polo.model.weights import digest, snapshot
from polo.testing import context, small_splits
from polo.train.loop import train
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.contracts.components import make
from tests.processes import together
from tests.toy_objective import FirstK
from tests.toy_policy import ToyPolicy, toy_rows
from tests.train.jobs import Crash, job, stage_of

WORLD, STEPS = 2, 4
#: the toy's scores are log-probabilities around -4
HEADS: dict[str, tuple[str, dict[str, Any]]] = {
    "drrl": ("drrl", {"omega": 2.0, "c": 1.5, "threshold": -4.0, "threshold_lr": 0.05}),
    "sl_at_k": ("sl_at_k", {"k": 2}),
    "adv_infonce": ("adv_infonce", {"width": 4, "lr": 0.05}),
    "llpauc": ("llpauc", {"lr": 0.01}),
}


def head(which: str) -> Any:
    name, options = HEADS[which]
    return make("loss", name, context(splits=small_splits()), **options)


def batch() -> tuple[Scores, torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    policy = torch.randn(6, 5, generator=generator, dtype=torch.float64) - 4
    scores = replace(Scores.of(policy), users=torch.tensor([0, 0, 1, 2, 2, 2]), items=torch.arange(30).reshape(6, 5))
    return scores, scores.valid_rejected, torch.ones(6, 4, dtype=torch.float64)


def same(one: dict[str, Any], other: dict[str, Any]) -> bool:
    return one.keys() == other.keys() and all(
        torch.equal(one[key], other[key]) if isinstance(one[key], torch.Tensor) else one[key] == other[key]
        for key in one
    )


@pytest.mark.parametrize("which", HEADS)
def test_only_a_step_moves_the_state_and_it_is_saved_and_loaded(which: str) -> None:
    loss, given = head(which), batch()
    before = {key: torch.as_tensor(value).clone() for key, value in loss.state_dict().items()}
    first = loss(*given)
    assert torch.equal(loss(*given), first)
    assert same({key: torch.as_tensor(value) for key, value in loss.state_dict().items()}, before)
    loss.after_step(0)
    moved = {key: torch.as_tensor(value).clone() for key, value in loss.state_dict().items()}
    assert not same(moved, before)
    second = loss(*given)
    assert not torch.equal(second, first)
    other = head(which)
    other.load_state_dict(loss.state_dict())
    assert torch.equal(other(*given), second)


@pytest.mark.parametrize("which", HEADS)
def test_a_loss_that_was_looked_at_for_validation_commits_nothing_of_it(which: str) -> None:
    """The monitor gives back the state that it found; the step after it is that of a run without it."""
    scores, keep, beta = batch()
    watched, plain = head(which), head(which)
    state = watched.state_dict()
    watched(replace(scores, policy=scores.policy * 3), keep, beta)
    watched.load_state_dict(state)
    watched.after_step(0)
    assert torch.equal(watched(scores, keep, beta), plain(scores, keep, beta))


@pytest.mark.parametrize("which", ["drrl", "sl_at_k", "adv_infonce"])
def test_a_head_that_counts_users_says_that_it_needs_data(which: str) -> None:
    name, options = HEADS[which]
    with pytest.raises(PoloError, match="without data"):
        make("loss", name, context(), **options)


@pytest.mark.parametrize("which", HEADS)
def test_a_stage_killed_in_the_middle_of_an_epoch_goes_on_bit_for_bit(which: str, tmp_path: Path) -> None:
    """24 rows in batches of 10 are 3 steps an epoch; killed in step 7, the second of epoch 2, and read from step 4."""
    stage = stage_of(select="best_valid")
    whole, log = job(tmp_path / "whole", stage, loss=head(which))
    train(whole)
    first, _ = job(tmp_path / "cut", stage, crash_at=7, loss=head(which))
    with pytest.raises(Crash):
        train(first)
    second, cut = job(tmp_path / "cut", stage, loss=head(which))
    train(second)
    assert digest(snapshot(whole.policy.module)) == digest(snapshot(second.policy.module))
    assert log.metrics() == cut.metrics()
    assert same(whole.objective.loss.state_dict(), second.objective.loss.state_dict())  # type: ignore[attr-defined]


def trained(accelerator: Accelerator, which: str, tokens: int) -> dict[str, Any]:
    """State and weights after some steps of plain SGD on batches of 9, 7, 9, 7 rows."""
    policy, loss, rows = ToyPolicy(), head(which), toy_rows(24)
    policy.module = spread(policy.module, accelerator, shard=False)
    stepper = Stepper(
        policy, Objective(loss=loss, sampler=FirstK(), beta=None, reference=None), accelerator, tokens, (0,)
    )
    for step in range(STEPS):
        stepper.backward(rows[step * 4 : step * 4 + 9 - 2 * (step % 2)], step, 0, 0.0)
        with torch.no_grad():
            for p in policy.module.parameters():
                p -= 0.5 * p.grad
                p.grad = None
    weights = {name.removeprefix("module."): p.detach() for name, p in policy.module.named_parameters()}
    return {"state": loss.state_dict(), "weights": weights}


def every_head(accelerator: Accelerator, folder: Path) -> dict[str, Any]:
    return {which: trained(accelerator, which, 30) for which in HEADS}


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return together(every_head, tmp_path_factory.mktemp("processes"), WORLD)


@pytest.mark.parametrize("which", HEADS)
def test_two_processes_and_any_passes_move_the_state_as_one_does(found: list[dict[str, Any]], which: str) -> None:
    one = trained(Accelerator(cpu=True), which, 10**6)
    start = head(which).state_dict()
    assert same(found[0][which]["state"], found[1][which]["state"]), "bit for bit on all processes"
    for other in (*(f[which] for f in found), trained(Accelerator(cpu=True), which, 25)):
        torch.testing.assert_close(other["weights"], one["weights"], rtol=1e-10, atol=1e-12)
        for key, value in one["state"].items():
            torch.testing.assert_close(
                torch.as_tensor(other["state"][key]), torch.as_tensor(value), rtol=1e-9, atol=1e-12
            )
    assert not same(one["state"], start)
