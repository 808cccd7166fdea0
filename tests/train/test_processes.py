"""Two processes of which one has more to do: they score and train as one process does, and neither waits for ever."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor

from polo.data import PAD, FloatArray, Rows
from polo.model.scoring import score_every, score_lists
from polo.model.sharding import spread
from polo.model.weights import snapshot
from polo.protocols import Ranked
from polo.recipe.model import Validate
from polo.train.loop import train
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.processes import together
from tests.toy_objective import FirstK, Pairs
from tests.toy_policy import ToyPolicy, toy_rows
from tests.train.jobs import job, stage_of

WORLD = 2
#: a long row and its list fill a pass; all short ones of a process fit in one
BUDGET = 12


def uneven() -> Rows:
    """Nine rows: those of the first process have full histories, those of the second one item each."""
    rows = toy_rows(9)
    history = rows.history.copy()
    history[:] = np.arange(history.shape[1])
    history[1::2, :-1] = PAD
    return replace(rows, history=history)


def whole(gradient: Any) -> torch.Tensor:
    """All of it, where each process holds a share."""
    found: torch.Tensor = gradient.full_tensor() if isinstance(gradient, DTensor) else gradient
    return found


def computed(accelerator: Accelerator, budget: int, *, shard: bool) -> dict[str, Any]:
    """Scores of lists, and the gradient of a step."""
    policy, rows = ToyPolicy(), uneven()
    lists = np.random.default_rng(0).integers(0, 40, (len(rows), 3))
    policy.module = spread(policy.module, accelerator, shard=shard)
    scores, _ = score_lists(policy, rows, lists, budget)
    objective = Objective(loss=Pairs(), sampler=FirstK(), beta=None, reference=None)
    Stepper(policy, objective, accelerator, budget, (0,)).backward(rows, 0, 0, 0.0)
    gradient = {name.removeprefix("module."): whole(p.grad) for name, p in policy.module.named_parameters()}
    return {"scores": torch.from_numpy(scores), "gradient": gradient}


def unsharded_and_sharded(accelerator: Accelerator, folder: Path) -> list[dict[str, Any]]:
    return [computed(accelerator, BUDGET, shard=shard) for shard in (False, True)]


class Vectors(ToyPolicy):
    """Scores that are inner products of vectors of the last item shown; each kind is one call of the module."""

    def user_vectors(self, rows: Rows) -> torch.Tensor:
        last = torch.from_numpy(rows.history[:, -1:].clip(0))
        return self.module(last, torch.arange(6).expand(len(rows), 6))

    def item_vectors(self) -> torch.Tensor:
        shown = torch.arange(40)[:, None]
        return self.module(shown, torch.arange(6).expand(40, 6))

    def vectors(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        return self.user_vectors(rows), self.item_vectors()


def ranked(policy: Vectors) -> list[torch.Tensor]:
    """All scores of a block of 9 rows, and of one of 1: fewer than there are processes."""
    every = score_every(policy, BUDGET)
    return [torch.from_numpy(every(rows)[0]) for rows in (uneven(), uneven()[3:4])]


def ranked_both_ways(accelerator: Accelerator, folder: Path) -> list[torch.Tensor]:
    """Unsharded and sharded."""
    found = []
    for shard in (False, True):
        policy = Vectors()
        policy.module = spread(policy.module, accelerator, shard=shard)
        found += ranked(policy)
    return found


class Unlike:
    """A metric that differs between processes, as last bits of scores may; asks of each when to stop."""

    needs = frozenset({"ranks"})

    def __init__(self, rank: int) -> None:
        self.rank, self.looks = rank, 0

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        self.looks += 1
        value = float(self.looks) if self.rank else -float(self.looks)
        return {"unlike": np.full(len(ranked.rows), value)}


def waited(accelerator: Accelerator, folder: Path) -> list[Any]:
    """The step at which a stage ended, and its weights."""
    rank = accelerator.process_index
    stage = stage_of(validate=Validate(every=2, patience=2))
    made, run = job(folder / f"run-{rank}", stage, metric=Unlike(rank))
    made.policy.module = spread(made.policy.module, accelerator, shard=False)
    train(made)
    steps = [line["step"] for line in run.metrics() if "loss" in line]
    return [max(steps), *snapshot(made.policy.module).values()]


def test_processes_share_the_rows_of_a_block_of_vectors(tmp_path: Path) -> None:
    found = together(ranked_both_ways, tmp_path, WORLD)
    one = ranked(Vectors()) * 2
    for of in found:
        assert [x.shape for x in of] == [(9, 40), (1, 40)] * 2
        for mine, alone in zip(of, one, strict=True):
            torch.testing.assert_close(mine, alone, rtol=1e-12, atol=0)


def test_processes_run_out_of_patience_together(tmp_path: Path) -> None:
    """The first process sees no better figure after the start, the second a better one each time."""
    first, second = together(waited, tmp_path, WORLD)
    assert first[0] == second[0] == 3, "measured after steps 0, 2 and 4"
    for a, b in zip(first[1:], second[1:], strict=True):
        assert torch.equal(a, b)


def test_law_a_process_with_fewer_passes_takes_part_in_those_of_the_other(tmp_path: Path) -> None:
    found = together(unsharded_and_sharded, tmp_path, WORLD)
    one = computed(Accelerator(cpu=True), 10**6, shard=False)
    for of in itertools.chain.from_iterable(found):
        torch.testing.assert_close(of["scores"], one["scores"], rtol=1e-12, atol=0)
        torch.testing.assert_close(of["gradient"], one["gradient"], rtol=1e-10, atol=1e-12)
