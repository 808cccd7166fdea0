"""Memory does not grow while a stage trains, nor while its lists are scored."""

from __future__ import annotations

import gc
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo.model.reference import Reference, ScoreCache
from polo.model.weights import snapshot
from polo.recipe.model import Validate
from polo.train.loop import train
from tests.train.jobs import job, stage_of

PAGE = os.sysconf("SC_PAGE_SIZE")
#: bytes a step. A metric line that is kept would be 600 (a dict of 12 floats), the scores of a batch more; what
#: remains is pages of 4 KiB that come and go
ALLOWED = 128


def resident() -> int:
    """Bytes of memory that this process holds."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="reads /proc")
@pytest.mark.parametrize("with_reference", [False, True])
def test_law_memory_does_not_grow_over_2000_steps(tmp_path: Path, with_reference: bool) -> None:
    """Least-squares slope of resident memory over the last 1,500 of 2,000 steps, with validation and checkpoints.

    The sampler always draws the same negatives of a row, so the reference cache is bounded by the rows.
    """
    one, _ = job(tmp_path, stage_of(steps=2000, checkpoint=100, validate=Validate(every=100)))
    if with_reference:
        cache = ScoreCache(tmp_path / "cache", {"policy": "toy"}, lambda line: None)
        reference = Reference(one.policy, snapshot(one.policy.module), cache, 10_000)
        one = replace(one, objective=replace(one.objective, reference=reference))
    held = np.zeros(2000)  # made beforehand: a list of numbers would itself grow by 40 bytes a step
    inner = one.log

    def log(line: Mapping[str, Any]) -> None:
        inner(line)
        if "loss" in line:
            if line["step"] % 50 == 0:
                gc.collect()
            held[line["step"]] = resident()

    train(replace(one, log=log))
    late = held[500:]
    slope = float(np.polyfit(np.arange(len(late)), late, 1)[0])
    print(f"slope {slope:.1f} bytes a step; {late[0] / 2**20:.1f} to {late[-1] / 2**20:.1f} MiB")
    assert slope < ALLOWED, f"{slope:.0f} bytes a step: {late[0] / 2**20:.1f} MiB became {late[-1] / 2**20:.1f} MiB"


def test_the_reference_cache_grows_with_rows_and_not_with_steps(tmp_path: Path) -> None:
    """What it holds is bounded by the different (row, negatives) pairs."""
    held = []
    for steps in (30, 90):
        one, _ = job(tmp_path / str(steps), stage_of(steps=steps, checkpoint=0))
        cache = ScoreCache(None, {"policy": "toy"}, lambda line: None)
        reference = Reference(one.policy, snapshot(one.policy.module), cache, 10_000)
        train(replace(one, objective=replace(one.objective, reference=reference)))
        held.append(len(cache))
    assert held[0] == held[1] <= len(one.rows) + len(one.validation)
