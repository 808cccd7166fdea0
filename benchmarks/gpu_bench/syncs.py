"""Part ``sync``: where a step of training waits for the device, by torch's own debug mode.

Runs of ``polo run``; between a batch and the reading of the step's figures, which is the one wait that a step may have,
every operation that synchronises is noted with where it was called from. Reference scores are made in the first pass
over the rows and come from the cache in the second; steps are told apart by that.
"""

from __future__ import annotations

import contextlib
import re
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import torch

from gpu_bench.families import POLICIES, SOFTMAX
from gpu_bench.report import Report
from gpu_bench.runs import BOUNDARY, place, recipe, run
from polo.train import loop

ROOT = Path(__file__).resolve().parents[2]
MESSAGE = re.compile("synchronizing CUDA operation")


class Watch:
    """Waits by step and by place."""

    def __init__(self, *, gpu: bool) -> None:
        self._gpu = gpu
        self.steps: list[Counter[str]] = []

    def begin(self) -> None:
        self.steps.append(Counter())
        if self._gpu:
            torch.cuda.synchronize()
            torch.cuda.set_sync_debug_mode("warn")

    def end(self) -> None:
        if self._gpu:
            torch.cuda.set_sync_debug_mode("default")

    def show(self, message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        """Takes the place of ``warnings.showwarning``."""
        if not MESSAGE.search(str(message)) or not self.steps:
            return
        frames = [
            f"{Path(one.filename).relative_to(ROOT)}:{one.lineno} {one.name}"
            for one in traceback.extract_stack()
            if Path(one.filename).is_relative_to(ROOT) and not Path(one.filename).is_relative_to(ROOT / "benchmarks")
        ]
        below = f"{filename}:{lineno}".rpartition("site-packages/")[2]
        self.steps[-1][" < ".join([*reversed(frames[-4:]), below])] += 1


@contextlib.contextmanager
def watched(*, gpu: bool) -> Iterator[Watch]:
    """Inside the block the training loop's steps are watched: gradient, clipping, optimiser, mean of weights."""
    watch, backward, check = Watch(gpu=gpu), loop.Stepper.backward, loop.Stepper.check

    def begins(self: Any, *given: Any) -> Any:
        watch.begin()
        return backward(self, *given)

    def ends(self: Any, judged: Any) -> None:
        watch.end()
        check(self, judged)

    with (
        patch.object(loop.Stepper, "backward", begins),
        patch.object(loop.Stepper, "check", ends),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("always")
        warnings.showwarning = watch.show
        try:
            yield watch
        finally:
            watch.end()


def part(report: Report) -> None:
    """Cells ``sync/POLICY``."""
    few = report.toy and not report.gpu
    for name in ("causal_lm", "sasrec") if few else ("causal_lm", "sasrec", "mf", "lightgcn", "xsimgcl", "gru4rec"):
        report.cell(f"sync/{name}", lambda name=name: waits(name, report))


def waits(name: str, report: Report) -> dict[str, Any]:
    """Of a first stage and of a second one with a reference, two epochs of it."""
    first = {"loss": "sft"} if name == "causal_lm" else SOFTMAX
    second = {"loss": "dmpo", "sampler": BOUNDARY, "beta": "dual_margin", "average": "ema", "epochs": 2,
              "steps": None, "batch": 256, "latest": 4, "validate": {"rows": 16}, "clip": 1.0}  # fmt: skip
    made = recipe(name, POLICIES[name], {"first": {**first, "validate": {"rows": 16}}, "second": second},
                  reference="first")  # fmt: skip
    made["stages"]["second"].pop("steps")
    with place() as folder, watched(gpu=report.gpu) as watch:
        run(folder, made, report.device)
    places: Counter[str] = Counter()
    for step in watch.steps:
        places += step
    return {
        "steps": len(watch.steps), "by_step": [sum(step.values()) for step in watch.steps],
        "synchronisations": sum(places.values()), "in_last_step": sum(watch.steps[-1].values()),
        "places": [{"where": where, "count": count} for where, count in places.most_common(40)],
    }  # fmt: skip
