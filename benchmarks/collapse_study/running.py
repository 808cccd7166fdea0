"""Runs one cell in this process and writes down what came of it. Knows run folders; knows no statistics."""

from __future__ import annotations

import gc
import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from collapse_study.cells import DATA, RECIPES, Cell, Settings, overrides
from collapse_study.gradients import listed_scores, shares
from polo.plugin.load import Plugins
from polo.recipe import load
from polo.recipe.model import Resolved
from polo.run.opening import named
from polo.run.run import Prepared, Run
from polo.store.files import write_json
from polo.store.runfolder import RunFolder

#: share of the last steps over which training figures are averaged
LAST = 0.1


class Watched(Run):
    """A run that keeps what it prepared, so that its objectives can be asked afterwards."""

    ready: Prepared | None = None

    def prepare(self, run: RunFolder | None = None) -> Prepared:
        self.ready = super().prepare(run)
        return self.ready


class Runner:
    """Runs cells into an output folder.

    Args:
        out: the study's folder: ``runs/CELL/`` holds run folders, ``cells/CELL.json`` what the tables are made of.
        settings: of all cells.
        plugins: loaded plugins.
    """

    def __init__(self, out: Path, settings: Settings, plugins: Plugins) -> None:
        self._out, self._settings, self._plugins = out.absolute(), settings, plugins

    def record_of(self, cell: Cell) -> Path:
        return self._out / "cells" / f"{cell.key}.json"

    def run(self, cell: Cell) -> dict[str, Any]:
        """The cell's record; trains and evaluates only what is not there yet.

        Raises:
            PoloError: the run failed, for example because a loss is not finite.
        """
        record = self.record_of(cell)
        if record.is_file():
            return dict(json.loads(record.read_text("utf-8")))
        home, began = self._out / "runs" / cell.key, time.process_time()
        done = sorted(home.glob("*/results.json"))
        if done:
            folder, job = RunFolder.open(done[-1].parent), Watched(self._resolved(cell), self._plugins)
        else:
            open_ = sorted(path.parent for path in home.glob("*/provenance.json"))
            job = Watched(self._resolved(cell), self._plugins, RunFolder.open(open_[-1]) if open_ else None)
            folder, _ = job.execute()
        facts = {
            **asdict(cell),
            "run": str(folder.path.relative_to(self._out)),
            "cpu_seconds": round(time.process_time() - began, 1),
            **_results(folder),
            **_training(folder.metrics()),
            **self._gradients(cell, job, folder),
        }
        record.parent.mkdir(parents=True, exist_ok=True)
        write_json(record, facts)
        del job
        gc.collect()
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        return facts

    def _resolved(self, cell: Cell, variant: str | None = None) -> Resolved:
        recipe, profile = DATA[cell.data]
        wanted = cell if variant is None else Cell(cell.data, cell.seed, cell.objective, cell.k, variant)
        words = overrides(wanted, self._settings, self._out / "runs" / cell.key)
        gpu = torch.cuda.is_available()
        return named(load(RECIPES / recipe, overrides=words, profile=profile, plugins=self._plugins, gpu=gpu))

    def _gradients(self, cell: Cell, job: Watched, folder: RunFolder) -> dict[str, Any]:
        """Shares before the stage (policy = reference) and after it."""
        ready = job.ready or job.prepare()
        choice = self._resolved(cell, "dynamic").recipe.stages["prefer"].sampler
        assert choice is not None
        boundary, objective = ready.composer.build(choice), ready.objectives["prefer"]
        evaluation = folder.path / "eval"
        return {
            "gradient_start": shares(objective, boundary, listed_scores(evaluation, cell.k, policy="sft")),
            "gradient_end": shares(objective, boundary, listed_scores(evaluation, cell.k)),
        }


def _results(folder: RunFolder) -> dict[str, Any]:
    results = json.loads((folder.path / "results.json").read_text("utf-8"))
    systems = results["systems"]
    return {
        "protocol": results["protocol"]["hash"],
        "test_rows": results["rows"],
        **{
            f"{system}/{metric}": systems[system][metric]
            for system in ("sft", "model")
            for metric in ("hit_ratio@1", "ndcg@10")
        },
    }


def _training(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Figures of stage ``prefer``; ``None`` where the stage came out of the cache and left no lines."""
    own = [line for line in lines if line["stage"] == "prefer"]
    steps = [line for line in own if "loss" in line]
    checks = [{key: value for key, value in line.items() if key.startswith("valid/")} for line in own]
    checks = [check for check in checks if check]
    last = steps[-max(1, round(LAST * len(steps))) :]

    def mean(name: str, among: Sequence[Mapping[str, Any]]) -> float | None:
        return sum(line[name] for line in among) / len(among) if among else None

    return {
        "valid": [checks[0], checks[-1]] if len(checks) > 1 else None,
        "final_loss": mean("loss", last),
        "train_margin": mean("rewards/margins", last),
        "mean_beta": mean("beta", steps),
        "kept": mean("kept", steps),
        "kept_last": mean("kept", last),
        "train_seconds": sum(line["seconds"] for line in steps) or None,
    }
