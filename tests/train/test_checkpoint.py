"""What a checkpoint gives back is what was saved, and which one is taken."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch

from polo.errors import PoloError
from polo.train.checkpoint import KEPT, Progress, load, newest, of_stage, save
from tests.toy_policy import ToyPolicy, toy_rows


class Counter:
    """A component with a tensor and two numbers to remember."""

    def __init__(self, value: float) -> None:
        self.state: dict[str, Any] = {"mean": torch.tensor([value, -value]), "calls": int(value), "name": "x"}

    def state_dict(self) -> dict[str, Any]:
        return self.state

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.state = dict(state)


def trained(steps: int) -> tuple[ToyPolicy, torch.optim.Optimizer]:
    policy = ToyPolicy()
    optimizer = torch.optim.AdamW(policy.module.parameters(), lr=0.1)
    for step in range(steps):
        optimizer.zero_grad()
        policy.score(toy_rows(6), torch.arange(12).reshape(6, 2) + step).sum().backward()
        optimizer.step()
    return policy, optimizer


def moments(policy: ToyPolicy, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    return {f"{n} {k}": v for n, p in policy.module.named_parameters() for k, v in optimizer.state[p].items()}


def equal(one: Mapping[str, torch.Tensor], other: Mapping[str, torch.Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


def test_law_a_checkpoint_gives_back_all_that_was_saved(tmp_path: Path) -> None:
    policy, optimizer = trained(3)
    components = [("loss", Counter(3.0)), ("sampler", object()), ("loss2", Counter(5.0))]
    best = {"weight": torch.arange(6.0).reshape(2, 3).T, "other": torch.ones(())}
    save(tmp_path / "s-3", policy, optimizer, components, Progress(step=3, best_value=0.25, best=best))
    fresh, other = trained(1)
    blank = [("loss", Counter(0.0)), ("sampler", object()), ("loss2", Counter(0.0))]
    progress = load(tmp_path / "s-3", fresh, other, blank)
    assert (progress.step, progress.best_value) == (3, 0.25)
    assert equal(progress.best, best)
    assert equal(fresh.module.state_dict(), policy.module.state_dict())
    assert equal(moments(fresh, other), moments(policy, optimizer))
    for (_, was), (_, now) in zip(components, blank, strict=True):
        if isinstance(was, Counter):
            assert isinstance(now, Counter)
            assert now.state.keys() == was.state.keys()
            assert torch.equal(now.state["mean"], was.state["mean"])
            assert (now.state["calls"], now.state["name"]) == (was.state["calls"], "x")


def test_law_what_was_loaded_goes_on_as_what_was_saved(tmp_path: Path) -> None:
    policy, optimizer = trained(3)
    save(tmp_path / "s-3", policy, optimizer, [], Progress(step=3))
    fresh, other = trained(0)
    assert load(tmp_path / "s-3", fresh, other, []) == Progress(step=3)
    for one, its in ((policy, optimizer), (fresh, other)):
        its.zero_grad()
        one.score(toy_rows(6), torch.arange(12).reshape(6, 2)).sum().backward()
        its.step()
    assert equal(fresh.module.state_dict(), policy.module.state_dict())


def test_a_stage_begins_at_step_0_with_nothing_best() -> None:
    assert Progress() == Progress(step=0, best_value=None, best={})


def test_a_process_that_does_not_write_leaves_nothing(tmp_path: Path) -> None:
    policy, optimizer = trained(1)
    save(tmp_path / "s-1", policy, optimizer, [], Progress(step=1), writes=False)
    assert list(tmp_path.iterdir()) == []


def test_the_newest_two_of_a_stage_are_kept_and_those_of_other_stages_too(tmp_path: Path) -> None:
    policy, optimizer = trained(1)
    for name in ("a-9", "a-b-3", "b-1", "a-10", "a-8", "a-100"):
        save(tmp_path / name, policy, optimizer, [], Progress())
    assert KEPT == 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a-10", "a-100", "a-b-3", "b-1"]


def test_law_checkpoints_of_a_stage_are_those_of_its_name_in_the_order_of_steps(tmp_path: Path) -> None:
    for name in ("sft-2-10", "sft-9", "sft-10", "sft-x", "sft-²", "sft-", "other-1", "sft"):
        (tmp_path / name).mkdir()
    assert [path.name for path in of_stage(tmp_path, "sft")] == ["sft-9", "sft-10"]
    assert [path.name for path in of_stage(tmp_path, "sft-2")] == ["sft-2-10"]
    assert of_stage(tmp_path, "none") == []


def test_the_newest_intact_checkpoint_wins_and_those_passed_over_are_named(tmp_path: Path) -> None:
    said: list[str] = []
    assert newest(tmp_path, "s", said.append) is None
    policy, optimizer = trained(1)
    for step in (9, 10):
        save(tmp_path / f"s-{step}", policy, optimizer, [], Progress(step=step))
    assert newest(tmp_path, "s", said.append) == tmp_path / "s-10"
    assert said == []
    (tmp_path / "s-10" / "state.json").write_text("{}")
    assert newest(tmp_path, "s", said.append) == tmp_path / "s-9"
    assert [line.partition(" is damaged")[0] for line in said] == ["checkpoint s-10"]
    (tmp_path / "s-9" / "state.json").unlink()
    with pytest.raises(PoloError, match="no checkpoint of stage 's' is intact") as caught:
        newest(tmp_path, "s", said.append)
    assert "s-10" in str(caught.value), "the newest one's fault is named"
