"""Finished runs, as files: written as the engine writes them, with values made up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from polo.data import Rows
from polo.evaluate.metrics import System, summarise, write_per_row, write_scores
from polo.protocols import Ranked
from polo.store.files import write_json

N_ROWS, N_USERS, N = 60, 20, 10


def rows(seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    lists = np.array([rng.choice(50, N, replace=False) for _ in range(N_ROWS)])
    n = np.arange(N_ROWS)
    return Rows(n + 7, n % N_USERS, np.zeros((N_ROWS, 1), np.int64), lists[n, rng.integers(0, N, N_ROWS)], lists)


def protocol(**changes: Any) -> dict[str, Any]:
    found = {"data": "toy", "form": "", "fingerprint": "f", "split": "test", "rows": N_ROWS, "rows_in_split": N_ROWS,
             "subsample_seed": None, "history": 1, "n": N, "negatives": "uniform", "seed": 0, "lists": "l",
             "ties": "expected", "hash": "h"}  # fmt: skip
    return {**found, **changes}


def write_run(
    folder: Path,
    *,
    strength: float,
    seed: int = 0,
    name: str = "toy",
    method: str = "dpo",
    changes: Any = None,
    stages: tuple[str, ...] = ("prefer",),
) -> Path:
    """A run whose model gives the target ``strength`` standard deviations more than others."""
    (folder / "eval").mkdir(parents=True)
    listed = rows()
    rng = np.random.default_rng(seed + 100)
    assert listed.candidates is not None
    bonus = listed.candidates == listed.target[:, None]
    values = {}
    for system, more in (("random", 0.0), ("sft", strength / 2), ("model", strength)):
        scores = rng.normal(size=bonus.shape) + more * bonus
        made = Ranked.of(listed, scores)
        values[system] = {"hit_ratio@1": (made.above == 0).astype(float), "mrr": 1 / (1.0 + made.above)}
        write_scores(folder / "eval", listed, System(system, scores))
    write_per_row(folder / "eval", listed, values)
    results = {
        "protocol": protocol(**(changes or {})),
        "rows": N_ROWS,
        "users": N_USERS,
        "baselines": "all",
        **summarise(listed, values),
    }
    write_json(folder / "results.json", results)
    recipe = {"name": name, "seed": seed, "stages": {stage: {"loss": {"use": method}} for stage in stages}}
    facts = {"recipe": recipe, "profile": None, "overrides": [], "command": ["polo", "run", "toy.yaml"],
             "versions": {"python": "3"}, "plugins": [], "hardware": {}, "git": {},
             "started": "2026-01-01T00:00:00+00:00",
             "data": {"name": "toy", "licence": ""}, "protocol": protocol(**(changes or {})), "seed": seed}  # fmt: skip
    write_json(folder / "provenance.json", facts)
    return folder
