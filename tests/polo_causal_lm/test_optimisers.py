"""AdamW in 8 bits, by the real bitsandbytes: close to AdamW, a fourth of its memory, and a run goes on exactly."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from polo import InputError
from polo.model.weights import digest, snapshot, trainable
from polo.testing import context
from polo.train.checkpoint import Progress, load, save
from polo_causal_lm.optimisers import AdamW8
from polo_causal_lm.options import AdamW8Options
from tests.toy_policy import ToyPolicy, toy_rows

pytest.importorskip("bitsandbytes", reason="the extra `quant` is not installed")


def eight(**options: Any) -> AdamW8:
    return AdamW8(AdamW8Options(**options), context())


def steps(optimiser: Any, weight: nn.Parameter, n: int, seed: int = 0) -> None:
    generator = torch.Generator().manual_seed(seed)
    for _ in range(n):
        weight.grad = torch.randn(weight.shape, generator=generator) + weight.detach()
        optimiser.step()


def groups(weight: nn.Parameter) -> list[dict[str, Any]]:
    return [{"params": [weight], "lr": 0.01, "weight_decay": 0.1, "factor": 1.0}]


def test_steps_are_those_of_adamw_but_for_rounding() -> None:
    start = torch.linspace(-1, 1, 8192).reshape(64, 128)
    mine, theirs = nn.Parameter(start.clone()), nn.Parameter(start.clone())
    steps(eight()(groups(mine)), mine, 20)
    steps(torch.optim.AdamW(groups(theirs)), theirs, 20)
    far, off = float((theirs.detach() - start).norm()), float((mine.detach() - theirs.detach()).norm())
    assert 0 < off < 0.05 * far


def test_a_large_weight_is_remembered_in_bytes_and_a_small_one_in_floats() -> None:
    large, small = nn.Parameter(torch.ones(64, 128)), nn.Parameter(torch.ones(4))
    made = eight()([{"params": [large, small], "lr": 0.01, "weight_decay": 0.0}])
    for weight in (large, small):
        weight.grad = torch.ones_like(weight)
    made.step()
    kinds = {name: value.dtype for name, value in made.state[large].items()}
    assert kinds["state1"] == kinds["state2"] == torch.uint8
    assert made.state[small]["state1"].dtype == torch.float32
    held = sum(value.numel() * value.element_size() for value in made.state[large].values())
    assert held < 0.3 * 2 * 4 * large.numel(), "two bytes a number, and a little for blocks, where AdamW has eight"


def test_law_what_a_checkpoint_gives_back_makes_the_same_steps(tmp_path: Path) -> None:
    def trained() -> tuple[ToyPolicy, torch.optim.Optimizer]:
        policy = ToyPolicy()
        weights = list(trainable(policy.module).values())
        return policy, eight(smallest=8)([{"params": weights, "lr": 0.05, "weight_decay": 0.0, "factor": 1.0}])

    def step(policy: ToyPolicy, optimiser: torch.optim.Optimizer, n: int) -> None:
        for number in range(n):
            optimiser.zero_grad()
            policy.score(toy_rows(6), torch.arange(12).reshape(6, 2) + number).sum().backward()
            optimiser.step()

    policy, optimiser = trained()
    step(policy, optimiser, 3)
    assert any(value.dtype == torch.uint8 for state in optimiser.state.values() for value in state.values())
    save(tmp_path / "s-3", policy, optimiser, [], Progress(step=3))
    step(policy, optimiser, 2)
    other, its = trained()
    load(tmp_path / "s-3", other, its, [])
    step(other, its, 2)
    assert digest(snapshot(other.module)) == digest(snapshot(policy.module))


def test_without_bitsandbytes_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("polo_causal_lm.optimisers.find_spec", lambda name: None)
    with pytest.raises(InputError, match="needs bitsandbytes") as raised:
        eight()
    assert "polo-rec[quant]" in raised.value.fix
