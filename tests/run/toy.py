"""A whole recipe small enough to run in seconds (tiny world, tiny model, real components), and how it is run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

#: polo in the process of a test: words -> exit code, stdout and stderr
Main = Callable[..., tuple[int, str, str]]

RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10, negatives: uniform}
policy:
  use: causal_lm
  base: {use: tiny_lm, hidden: 32, layers: 1, heads: 2, vocab: 400, epochs: 1}
  lora: {r: 4, dropout: 0.0}
reference: sft
stages:
  sft: {loss: sft, steps: 3, lr: 1e-3, batch: 16, checkpoint: 2, validate: {rows: 20}}
  prefer:
    sampler: {use: boundary, from: {use: uniform, k: 6}}
    beta: {use: dual_margin, margin: 6.0}
    loss: dmpo
    steps: 6
    lr: 1e-3
    batch: 16
    checkpoint: 2
    validate: {rows: 20, every: 3}
evaluate:
  evaluators: [{use: hit_ratio, k: [1, 5]}, {use: ndcg, k: [5]}, mrr]
  rows: 40
"""

#: the same over ids alone, in fewer seconds still: no text is read and no base is made
OVER_IDS = """\
polo: 1
name: toy
data: {use: demo, items: 100, users: 60, shortest: 8, longest: 10}
candidates: {n: 10}
policy: {use: mf, dim: 8}
reference: none
stages:
  prefer: {sampler: {use: uniform, k: 4}, loss: bpr, steps: 4, lr: 1e-2, batch: 16, checkpoint: 2}
evaluate: {evaluators: [{use: hit_ratio, k: [1]}], baselines: []}
"""


def command(*words: str, code: int = 0, **environment: str) -> subprocess.CompletedProcess[str]:
    """polo in a process of its own; fails when it ends with another code."""
    done = subprocess.run(
        [sys.executable, "-m", "polo", *words],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        check=False,
    )
    assert done.returncode == code, done.stdout + done.stderr
    return done


def killed(line: str, *words: str, **environment: str) -> None:
    """polo in a process of its own, killed with SIGKILL when it says a line that begins with ``line``."""
    program = [sys.executable, "-m", "polo", *words]
    with subprocess.Popen(program, env={**os.environ, **environment}, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        for said in process.stderr:
            if said.startswith(line):
                process.kill()
                break
        process.stderr.read()


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def folder_of(done: subprocess.CompletedProcess[str]) -> Path:
    return Path(done.stdout.strip().splitlines()[-1])
