"""Runs of ``polo run`` on a generated world of a few rows, in this process. Knows the command alone."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from polo.cli import main

DATA = {"use": "demo", "items": 120, "users": 60, "shortest": 8, "longest": 12}
LISTS = {"n": 20, "negatives": "uniform"}
TINY = {"use": "tiny_lm", "hidden": 32, "layers": 2, "heads": 2, "vocab": 400, "epochs": 1}
UNIFORM = {"use": "uniform", "k": 4}
BOUNDARY = {"use": "boundary", "from": {"use": "uniform", "k": 8}}


def recipe(name: str, policy: dict[str, Any], stages: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A recipe of a few steps a stage; ``more`` replaces what else it says."""
    steps = {"steps": 4, "lr": 1e-3, "batch": 16, "checkpoint": 0}
    return {
        "polo": 1, "name": name, "data": DATA, "candidates": LISTS, "policy": policy, "reference": "none",
        "stages": {key: {**steps, **stage} for key, stage in stages.items()},
        "evaluate": {"evaluators": [{"use": "hit_ratio", "k": [1, 5]}, {"use": "ndcg", "k": [5]}]}, **more,
    }  # fmt: skip


@contextlib.contextmanager
def place() -> Iterator[Path]:
    """A folder with a cache of its own, which is the current one inside the block."""
    before, cache = Path.cwd(), os.environ.get("POLO_CACHE")
    with tempfile.TemporaryDirectory() as made:
        os.environ["POLO_CACHE"] = str(Path(made) / "cache")
        os.chdir(made)
        try:
            yield Path(made)
        finally:
            os.chdir(before)
            os.environ.pop("POLO_CACHE")
            if cache is not None:
                os.environ["POLO_CACHE"] = cache


def polo(*words: str) -> str:
    """Stdout of a command of polo.

    Raises:
        RuntimeError: it fails; with what it says.
    """
    out, said = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(said):
            main(words)
    except SystemExit as ended:
        if ended.code:
            raise RuntimeError(f"polo {words[0]} ended with {ended.code}: {said.getvalue()[-1500:]}") from None
    return out.getvalue()


def run(folder: Path, made: dict[str, Any], device: str) -> Path:
    """Trains and evaluates; returns the run's folder."""
    file = folder / f"{made['name']}.yaml"
    file.write_text(json.dumps({**made, "device": device, "out": str(folder / "runs")}), encoding="utf-8")
    return Path(polo("run", str(file)).splitlines()[-1])
