"""A stage to train in milliseconds, with dropout and a head whose state would be missed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator
from torch import Tensor

from polo.console import Console
from polo.context import Choice
from polo.protocols import Average, Evaluator, Optimiser
from polo.recipe.model import Stage
from polo.store.runfolder import RunFolder
from polo.testing import context
from polo.train.loop import Job
from polo.train.objective import Objective
from polo.train.optimiser_options import AdamOptions
from polo.train.optimisers import AdamW
from tests.toy_objective import FirstK, Pairs
from tests.toy_policy import ToyPolicy, toy_rows


@dataclass
class Remembering:
    """A head with a state: the running mean of the loss is added (detached), so that losing it would show."""

    needs: frozenset[str] = frozenset({"negatives"})
    mean: Tensor = field(default_factory=lambda: torch.zeros((), dtype=torch.float64))
    calls: int = 0

    def __call__(self, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
        loss = Pairs()(scores, keep, beta)
        self.mean, self.calls = 0.9 * self.mean + 0.1 * loss.detach().mean(), self.calls + 1
        return loss * (1 + self.mean)

    def state_dict(self) -> dict[str, Any]:
        return {"mean": self.mean, "calls": self.calls}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.mean, self.calls = state["mean"], state["calls"]


class Crash(Exception):
    pass


def job(
    folder: Path,
    stage: Stage,
    *,
    crash_at: int | None = None,
    loss: Any = None,
    optimiser: Optimiser | None = None,
    average: Average | None = None,
    metric: Evaluator | None = None,
) -> tuple[Job, RunFolder]:
    run = RunFolder(folder)
    run.checkpoints.mkdir(parents=True, exist_ok=True)

    def log(line: Mapping[str, Any]) -> None:
        run.log({key: value for key, value in line.items() if key != "seconds"})
        if crash_at is not None and "loss" in line and line["step"] == crash_at:
            raise Crash

    return (
        Job(
            name="prefer",
            stage=stage,
            seed=3,
            policy=ToyPolicy(dropout=0.3),
            objective=Objective(loss=loss or Remembering(), sampler=FirstK(), beta=None, reference=None),
            optimiser=optimiser or AdamW(AdamOptions(), context()),
            average=average,
            starts_at_reference=False,
            rows=toy_rows(24),
            validation=toy_rows(12, seed=1, candidates=8),
            metric=metric,
            accelerator=Accelerator(cpu=True),
            console=Console(silent=True),
            checkpoints=run.checkpoints,
            log=log,
            rewind=run.rewind,
            resume_hint="--resume",
        ),
        run,
    )


def stage_of(**changes: Any) -> Stage:
    plain: dict[str, Any] = {"loss": Choice("loss", "toy"), "steps": 12, "lr": 0.05, "batch": 10, "checkpoint": 4}
    return Stage(**{**plain, **changes})
