"""Two processes of which one has more to do: they score and train as one process does, and neither waits for ever."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from torch.distributed.tensor import DTensor

from polo.data import PAD, Rows
from polo.model.scoring import score_lists
from polo.model.sharding import spread
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.processes import together
from tests.toy_objective import FirstK, Pairs
from tests.toy_policy import ToyPolicy, toy_rows

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


def test_law_a_process_with_fewer_passes_takes_part_in_those_of_the_other(tmp_path: Path) -> None:
    found = together(unsharded_and_sharded, tmp_path, WORLD)
    one = computed(Accelerator(cpu=True), 10**6, shard=False)
    for of in itertools.chain.from_iterable(found):
        torch.testing.assert_close(of["scores"], one["scores"], rtol=1e-12, atol=0)
        torch.testing.assert_close(of["gradient"], one["gradient"], rtol=1e-10, atol=1e-12)
