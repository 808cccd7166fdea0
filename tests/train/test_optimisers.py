"""Optimisers: what one step does, by hand; parameter groups; going on from a checkpoint is exact with each."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from polo import Optimiser, ParamGroup, PoloError
from polo.errors import InputError
from polo.model.weights import digest, snapshot, trainable
from polo.testing import context
from polo.train.loop import train
from polo.train.optimiser_options import AdafactorOptions, AdamOptions, SgdOptions
from polo.train.optimisers import Adafactor, Adam, AdamW, Sgd, grouped
from tests.toy_policy import ToyPolicy
from tests.train.jobs import Crash, job, stage_of

ALL: dict[str, Optimiser] = {
    "adamw": AdamW(AdamOptions(), context()),
    "adam": Adam(AdamOptions(betas=(0.8, 0.95), eps=1e-6), context()),
    "sgd": Sgd(SgdOptions(), context()),
    "adafactor": Adafactor(AdafactorOptions(), context()),
    "momentum": Sgd(SgdOptions(momentum=0.9, nesterov=True), context()),
}


class Grouping(ToyPolicy):
    """Item vectors at ten times the rate, without decay."""

    groups: Sequence[ParamGroup] = (ParamGroup(names=("outside",), lr=10.0, weight_decay=0.0),)

    def param_groups(self) -> Sequence[ParamGroup]:
        return self.groups


def moved(optimiser: Optimiser, gradients: list[float], lr: float = 0.1, weight_decay: float = 0.5) -> list[float]:
    """Where a single weight stands after each step, from 2."""
    weight = nn.Parameter(torch.tensor([2.0], dtype=torch.float64))
    torch_optimiser = optimiser([{"params": [weight], "lr": lr, "weight_decay": weight_decay}])
    places = []
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        torch_optimiser.step()
        places.append(float(weight.detach()))
    return places


def test_sgd_steps_along_gradient_and_decay() -> None:
    """g + decay p = 3 + 0.5 * 2 = 4: 2 - 0.4 = 1.6; then 3 + 0.8 = 3.8: 1.6 - 0.38 = 1.22."""
    assert moved(ALL["sgd"], [3.0, 3.0]) == pytest.approx([1.6, 1.22])


def test_sgd_with_momentum_keeps_a_share_of_the_last_step() -> None:
    """b = 1, then 0.5 * 1 + 1 = 1.5: 2 - 0.1 = 1.9; 1.9 - 0.15 = 1.75."""
    half = Sgd(SgdOptions(momentum=0.5), context())
    assert moved(half, [1.0, 1.0], weight_decay=0.0) == pytest.approx([1.9, 1.75])


def test_the_first_step_of_adam_is_one_rate_whatever_the_gradient() -> None:
    """m / sqrt(v) = sign(g) after bias correction; the decay is a part of the gradient."""
    assert moved(Adam(AdamOptions(), context()), [7.0]) == pytest.approx([1.9])


def test_adamw_decays_apart_from_the_gradient() -> None:
    """2 - 0.1 * sign(g) - 0.1 * 0.5 * 2 = 1.8."""
    assert moved(ALL["adamw"], [7.0]) == pytest.approx([1.8])


def test_adafactor_moves_by_a_share_of_the_weight() -> None:
    """Size 2, rate 0.1, u = sign(g): 2 - 0.1 * 2 = 1.8; then 1.8 - 0.1 * 1.8 = 1.62. At step 400 the rate is 1/20."""
    assert moved(ALL["adafactor"], [7.0, 7.0], weight_decay=0.0) == pytest.approx([1.8, 1.62])
    places = moved(ALL["adafactor"], [-1.0] * 400, lr=0.1, weight_decay=0.0)
    assert places[-1] / places[-2] == pytest.approx(1 + 1 / 20, rel=1e-6)


def test_adafactor_remembers_rows_and_columns_of_a_matrix() -> None:
    """Of 6 x 4 numbers 6 + 4, and the step."""
    weight = nn.Parameter(torch.ones(6, 4))
    made = ALL["adafactor"]([{"params": [weight], "lr": 0.1, "weight_decay": 0.0}])
    weight.grad = torch.ones(6, 4)
    made.step()
    assert sorted(value.numel() for value in made.state[weight].values()) == [1, 4, 6]


def test_nesterov_without_momentum_is_refused() -> None:
    with pytest.raises(InputError, match="nesterov needs momentum"):
        SgdOptions(nesterov=True)


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("crash_at", [4, 6])
def test_law_going_on_is_exact_with_every_optimiser_and_with_groups(tmp_path: Path, name: str, crash_at: int) -> None:
    def made(folder: str, crash: int | None = None) -> tuple[Any, Any]:
        one, run = job(tmp_path / folder, stage_of(weight_decay=0.01), crash_at=crash, optimiser=ALL[name])
        one.__dict__["policy"] = Grouping(dropout=0.3)
        return one, run

    whole, log = made("whole")
    train(whole)
    first, _ = made("cut", crash_at)
    with pytest.raises(Crash):
        train(first)
    second, cut = made("cut")
    train(second)
    assert digest(snapshot(whole.policy.module)) == digest(snapshot(second.policy.module))
    assert log.metrics() == cut.metrics()


def test_a_group_moves_at_its_own_multiple_of_the_stages_rate(tmp_path: Path) -> None:
    """One step of plain descent from the same weights: ten times as far for `outside`, equally far for `inside`."""

    def after(policy: ToyPolicy) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        before = snapshot(policy.module)
        one, _ = job(tmp_path, stage_of(steps=1, warmup=0.0, clip=None), optimiser=ALL["sgd"])
        one.__dict__["policy"] = policy
        train(one)
        return before, snapshot(policy.module)

    start, plain = after(ToyPolicy())
    _, grouped_ = after(Grouping())
    assert float((plain["outside.weight"] - start["outside.weight"]).abs().max()) > 1e-5
    torch.testing.assert_close(
        grouped_["outside.weight"] - start["outside.weight"], 10 * (plain["outside.weight"] - start["outside.weight"])
    )
    torch.testing.assert_close(grouped_["inside.weight"], plain["inside.weight"])


def test_what_is_in_no_group_moves_at_the_stages_rate_and_decay() -> None:
    policy = Grouping()
    made = grouped(policy, trainable(policy.module), 0.2)
    assert [(one["factor"], one["weight_decay"]) for one in made] == [(10.0, 0.0), (1.0, 0.2)]
    assert [len(one["params"]) for one in made] == [1, 1]
    assert made[0]["params"][0] is policy.module.outside.weight


@pytest.mark.parametrize(
    ("groups", "message"),
    [
        ([ParamGroup(names=("outsider",))], "name nothing that is trained: outsider"),
        ([ParamGroup(names=("inside",)), ParamGroup(names=("inside.weight",))], r"share inside\.weight"),
    ],
)
def test_groups_that_cannot_be_are_refused_with_their_names(groups: list[ParamGroup], message: str) -> None:
    policy = Grouping()
    policy.groups = groups
    with pytest.raises(PoloError, match=message):
        grouped(policy, trainable(policy.module), 0.0)


@pytest.mark.parametrize("name", ["adamw", "adam"])
def test_one_walk_through_memory_moves_weights_as_many_do(name: str) -> None:
    """Ours against torch's own loop over operations, float32, with weight decay; sharded weights are left to torch."""
    generator = torch.Generator().manual_seed(0)
    start, gradients = torch.randn(50, 8, generator=generator), torch.randn(9, 50, 8, generator=generator)

    def run(make: Any) -> torch.Tensor:
        weight = nn.Parameter(start.clone())
        optimiser = make([{"params": [weight], "lr": 0.01, "weight_decay": 0.1}])
        for gradient in gradients:
            weight.grad = gradient.clone()
            optimiser.step()
        return weight.detach()

    plain = {"adamw": torch.optim.AdamW, "adam": torch.optim.Adam}[name]
    options = {"adamw": ((0.9, 0.999), 1e-8), "adam": ((0.8, 0.95), 1e-6)}[name]
    expected = run(lambda groups: plain(groups, betas=options[0], eps=options[1], foreach=False, fused=False))
    torch.testing.assert_close(run(ALL[name]), expected)
