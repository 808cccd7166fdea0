"""A small run that trackers follow, stopped in the middle and gone on with."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any

import pytest

from polo import run
from polo.door.result import Result
from polo.train import loop

RECIPE = """\
polo: 1
name: tracked
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10}
policy: {use: mf, dim: 4}
reference: base
stages:
  first: {loss: bpr, sampler: {use: uniform, k: 4}, steps: 2, lr: 1e-2, batch: 32, validate: {rows: 20}}
  second: {loss: dpo, sampler: {use: uniform, k: 4}, steps: 6, lr: 1e-2, batch: 32, checkpoint: 2,
           validate: {rows: 20, every: 2}}
evaluate: {evaluators: [{use: hit_ratio, k: [1, 5]}], baselines: [popularity]}
"""


def followed(place: Path, trackers: list[Any], patch: pytest.MonkeyPatch) -> Result:
    """A run stopped after its fifth step (the third of ``second``), and gone on with: a checkpoint was written then."""
    patch.setenv("POLO_CACHE", str(place / "cache"))
    patch.chdir(place)
    (place / "tracked.yaml").write_text(RECIPE)
    given = {"trackers": trackers}
    real, calls = loop.step_metrics, list[int]()

    def stopping(*words: Any) -> Any:
        calls.append(1)
        if len(calls) == 5:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*words)

    with pytest.MonkeyPatch.context() as once:
        once.setattr(loop, "step_metrics", stopping)
        with pytest.raises(KeyboardInterrupt, match="after step 3 of 6 of stage 'second'"):
            run("tracked.yaml", given, quiet=True)
    (folder,) = (place / "runs").iterdir()
    return run("tracked.yaml", given, resume=folder, quiet=True)


def lines(result: Result) -> list[dict[str, Any]]:
    """What the run itself wrote."""
    return [json.loads(line) for line in (result.folder / "metrics.jsonl").read_text().splitlines()]


def curve(result: Result, stage: str, name: str) -> dict[int, float]:
    """Step -> figure."""
    return {line["step"]: line[name] for line in lines(result) if line["stage"] == stage and name in line}
