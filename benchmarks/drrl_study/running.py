"""Trains and measures one cell in this process and writes down what came of it. Knows no statistics."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from drrl_study.cells import RECIPE, Cell, Size, overrides
from polo.console import Console
from polo.data import FloatArray, Rows
from polo.evaluate.whole import Kept, measure
from polo.model.scoring import score_every
from polo.plugin.load import Plugins
from polo.recipe import load
from polo.run.compose import Composer
from polo.run.device import accelerator_of
from polo.run.prepare import for_policy, prepare
from polo.store.files import write_json
from polo.train.loop import Job, train

#: what is measured; the second one is searched for
FIGURES = ("recall@20", "ndcg@20")


class Runner:
    """Runs cells into an output folder; what is there already is read.

    Args:
        out: ``DATA-EPOCHS-NEGATIVES/KEY.json`` holds a cell's figures, ``KEY.npz`` those of each user of a test cell.
        size, data: of all cells.
        plugins: loaded plugins.
        words: further overrides of the recipe.
    """

    def __init__(self, out: Path, size: Size, data: str, plugins: Plugins, words: tuple[str, ...] = ()) -> None:
        self._out = out / f"{data}-{size.epochs}epochs-{size.negatives}negatives"
        self._size, self._data, self._plugins, self._words = size, data, plugins, words

    def record(self, cell: Cell) -> Path:
        """Where the figures of a cell are kept."""
        return self._out / f"{cell.key}.json"

    def run(self, cell: Cell) -> Mapping[str, Any]:
        """The record of a cell; trains it only if it is not there.

        Raises:
            PoloError: a loss is not finite.
        """
        record = self.record(cell)
        if record.is_file():
            return dict(json.loads(record.read_text("utf-8")))
        began = time.process_time()
        values, users = self._values(cell)
        self._out.mkdir(parents=True, exist_ok=True)
        if cell.split == "test":
            np.savez_compressed(self._out / f"{cell.key}.npz", users=users, **values)
        facts = {name: float(column.mean()) for name, column in values.items()}
        facts["cpu_seconds"] = round(time.process_time() - began, 1)
        write_json(record, facts)
        return facts

    def users(self, cell: Cell) -> Mapping[str, Any]:
        """Figures of each user of a test cell that has run."""
        with np.load(self._out / f"{cell.key}.npz") as found:
            return dict(found)

    def _values(self, cell: Cell) -> tuple[dict[str, FloatArray], Any]:
        words = [*overrides(cell, self._size, self._data), *self._words]
        resolved = load(RECIPE, overrides=words, profile="none", plugins=self._plugins, gpu=False)
        recipe, console = resolved.recipe, Console(silent=True)
        composer = Composer(resolved, self._plugins.catalogue, console)
        ready = prepare(recipe, composer, composer.data())
        policy = composer.policy()
        ready = for_policy(ready, recipe, policy, console.say)
        stage = recipe.stages["prefer"]
        with tempfile.TemporaryDirectory() as folder:
            train(
                Job(
                    name="prefer",
                    stage=stage,
                    seed=recipe.seed,
                    policy=policy,
                    objective=ready.objectives["prefer"],
                    optimiser=composer.build(stage.optimiser),
                    starts_at_reference=False,
                    rows=ready.train["prefer"],
                    validation=ready.validation["prefer"],
                    accelerator=accelerator_of(recipe),
                    console=console,
                    checkpoints=Path(folder),
                    log=lambda line: None,
                    rewind=lambda name, step: None,
                    resume_hint="run the program again",
                )
            )
        rows: Rows = ready.test
        table = measure(rows, ready.evaluators, score_every(policy, stage.tokens_per_pass))
        found = Kept("", table).values(rows, ready.evaluators)
        return {name: found[name] for name in FIGURES}, rows.user
