"""A recipe whose runs take a second each: two stages of an embedding policy on a small made-up world."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 100, users: 40, shortest: 6, longest: 9}
candidates: {n: 10}
policy: {use: mf, dim: 4}
reference: sft
stages:
  sft: {sampler: {use: uniform, k: 3}, loss: softmax, steps: 4, lr: 0.01, batch: 16, validate: {rows: 20, every: 2}}
  prefer: {sampler: {use: uniform, k: 3}, loss: dmpo, beta: {use: fixed, value: 1.0}, steps: 6, lr: 0.01, batch: 16,
           checkpoint: 2, validate: {rows: 20, every: 2}}
evaluate: {evaluators: [{use: hit_ratio, k: [1]}, mrr], baselines: [popularity]}
"""


def stopped(number: int, line: str, *words: str) -> int:
    """polo in a process of its own, sent a signal when it says a line that begins with ``line``; its exit code."""
    program = [sys.executable, "-m", "polo", *words]
    with subprocess.Popen(program, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as process:
        assert process.stderr is not None
        for said in process.stderr:
            if said.startswith(line):
                process.send_signal(number)
                break
        process.stderr.read()
    return process.returncode


def folders(out: str) -> list[Path]:
    """The folders that stand at the end of what a command wrote on stdout, a line each."""
    return [Path(line) for line in out.splitlines() if line.startswith("/")]


def until(there: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    """Waits until something is there; a process that ends before it fails the test."""
    while not there():
        assert process.poll() is None, "it ended before"
