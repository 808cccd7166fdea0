"""Terms of the policy's own in a step's loss: of the whole batch, once, whatever the passes and processes are."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor, nn
from torch.nn.functional import dropout

from polo.data import PAD, Rows
from polo.errors import PoloError
from polo.model.sharding import spread, whole
from polo.model.weights import bare, digest, snapshot
from polo.train.loop import train
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.processes import together
from tests.toy_objective import Centred, FirstK, Pairs
from tests.toy_policy import Table, ToyPolicy, toy_rows
from tests.train.jobs import Crash, job, stage_of

#: passes of one row or two, and one pass of all
BUDGETS = (12, 10**6)


class Inside(nn.Module):
    """Computes what it is given inside its forward, where weights are whole."""

    def __init__(self, table: Table) -> None:
        super().__init__()
        self.table = table

    def forward(self, compute: Any) -> Any:
        return compute(self.table)


class Regular(ToyPolicy):
    """Two terms: halved squares of the vectors that were looked up, over the rows; and one that knows whole batches."""

    def __init__(self, weight: float = 0.25, noise: float = 0.0) -> None:
        super().__init__()
        self.module: nn.Module = Inside(self.module)  # type: ignore[arg-type]
        self.weight, self.noise, self.seen = weight, noise, list[tuple[Rows, Tensor]]()

    def score(self, rows: Rows, items: Tensor) -> Tensor:
        return self.module(lambda table: table(torch.from_numpy(rows.history), items))

    def save(self, folder: Path) -> None:
        torch.save(bare(self.module).state_dict(), folder / "toy.pt")

    def load(self, folder: Path) -> None:
        bare(self.module).load_state_dict(torch.load(folder / "toy.pt"))

    def extra_loss(self, rows: Rows, items: Tensor) -> dict[str, Tensor]:
        self.seen.append((rows, items))

        def terms(table: Table) -> dict[str, Tensor]:
            vectors = dropout(table.outside(items.clamp_min(0)), self.noise) * (items != PAD)[..., None]
            centre = vectors.sum(dim=(0, 1)) / (items != PAD).sum()  # no row has it alone
            return {"l2": self.weight * vectors.square().sum() / (2 * len(rows)), "centre": -centre.square().sum()}

        return self.module(terms)


def stepped(policy: Regular, budget: int, loss: Any = None, rows: Rows | None = None) -> Stepper:
    objective = Objective(loss=loss or Pairs(), sampler=FirstK(), beta=None, reference=None)
    made = Stepper(policy, objective, Accelerator(cpu=True), budget, (0, "test"))
    made.backward(toy_rows(9) if rows is None else rows, 5, 0, 0.0)
    return made


def gradient(policy: Any) -> dict[str, Tensor]:
    return {n.removeprefix("module."): whole(p.grad).clone() for n, p in policy.module.named_parameters()}


@pytest.mark.parametrize("loss", [Pairs(), Centred()], ids=["row-wise", "whole batch"])
@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_law_passes_change_neither_value_nor_gradient_of_a_term(loss: Any, noise: float) -> None:
    found = []
    for budget in BUDGETS:
        policy = Regular(noise=noise)
        made = stepped(policy, budget, loss)
        assert len(policy.seen) == 1, "once a step"
        found.append((gradient(policy), made.extra))
    (few, values), (one, expected) = found
    assert values == expected
    torch.testing.assert_close(few, one, rtol=1e-10, atol=1e-12)


def test_a_term_sees_targets_and_negatives_of_all_rows_and_pad_where_none_could_be_drawn() -> None:
    policy, rows = Regular(), toy_rows(9)
    stepped(policy, 12, rows=rows)
    ((seen, items),) = policy.seen
    assert seen is rows
    for i in range(9):
        negatives = [PAD] * 4 if i % 3 == 0 else [(rows.target[i] + j) % 40 for j in range(1, 5)]
        assert items[i].tolist() == [rows.target[i], *negatives]


def test_the_gradient_is_that_of_mean_loss_plus_terms_as_they_are() -> None:
    """L2 of one row (4 negatives): each of its five vectors v gets 0.25 * 2 v / 2 = 0.25 v besides."""
    rows = toy_rows(9)[np.array([1])]
    plain, heavy = Regular(weight=0.0), Regular(weight=0.25)
    stepped(plain, 100, rows=rows)
    made = stepped(heavy, 100, rows=rows)
    table = heavy.module.table
    more = table.outside.weight.grad - plain.module.table.outside.weight.grad
    looked_up = [(int(rows.target[0]) + j) % 40 for j in range(5)]
    expected = torch.zeros_like(more)
    expected[looked_up] = 0.25 * table.outside.weight[looked_up].detach()
    torch.testing.assert_close(more, expected, rtol=1e-9, atol=1e-12)
    assert made.extra["l2"] == pytest.approx(float(table.outside.weight[looked_up].detach().square().sum()) / 8)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_term_that_is_not_finite_is_refused_by_its_name(bad: float) -> None:
    with pytest.raises(PoloError, match=rf"own term 'l2' of the loss is {bad}") as refused:
        stepped(Regular(weight=bad), 100)
    assert refused.value.where == "9 rows, the first of them row 0"


def test_terms_are_in_the_loss_of_the_log_and_stand_beside_it(tmp_path: Path) -> None:
    lines = []
    for weight in (0.0, 0.25):
        made, run = job(tmp_path / str(weight), stage_of(steps=1), loss=Pairs())
        train(replace(made, policy=Regular(weight)))
        lines.append(next(line for line in run.metrics() if "loss" in line))
    without, with_it = lines
    assert without["loss/l2"] == 0.0 < with_it["loss/l2"]
    assert with_it["loss"] - without["loss"] == pytest.approx(with_it["loss/l2"], rel=1e-9)
    assert with_it["loss/centre"] == without["loss/centre"] < 0


def test_law_a_stage_with_terms_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    whole_one, log = job(tmp_path / "whole", stage_of(), loss=Pairs())
    whole_one = replace(whole_one, policy=Regular(noise=0.3))
    train(whole_one)
    first, _ = job(tmp_path / "cut", stage_of(), loss=Pairs(), crash_at=6)
    with pytest.raises(Crash):
        train(replace(first, policy=Regular(noise=0.3)))
    second, cut = job(tmp_path / "cut", stage_of(), loss=Pairs())
    second = replace(second, policy=Regular(noise=0.3))
    train(second)
    assert digest(snapshot(second.policy.module)) == digest(snapshot(whole_one.policy.module))
    assert cut.metrics() == log.metrics()


def in_processes(accelerator: Accelerator, folder: Path) -> list[dict[str, Any]]:
    """The gradient of nine rows in passes of unlike number, and of a single row that one process has nothing of."""
    found = []
    for shard, n in itertools.product((False, True), (9, 1)):
        policy = Regular(noise=0.5)
        policy.module = spread(policy.module, accelerator, shard=shard)
        objective = Objective(loss=Pairs(), sampler=FirstK(), beta=None, reference=None)
        made = Stepper(policy, objective, accelerator, 12, (0, "test"))
        rows = toy_rows(9)
        made.backward(rows if n == 9 else rows[np.array([1])], 5, 0, 0.0)
        found.append({"gradient": gradient(policy), "extra": dict(made.extra)})
    return found


def test_law_two_processes_compute_the_terms_of_one_whole_and_sharded(tmp_path: Path) -> None:
    for rank in together(in_processes, tmp_path, 2):
        for at, of in enumerate(rank):
            policy = Regular(noise=0.5)
            made = stepped(policy, 10**6, rows=toy_rows(9) if at % 2 == 0 else toy_rows(9)[np.array([1])])
            assert of["extra"] == pytest.approx(made.extra, rel=1e-12)
            torch.testing.assert_close(of["gradient"], gradient(policy), rtol=1e-9, atol=1e-12)
