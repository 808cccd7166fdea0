"""A whole recipe small enough to run in seconds: a tiny world, a tiny model, the real components."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from polo.cli import main

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


Main = Callable[..., tuple[int, str, str]]


@pytest.fixture
def polo(capsys: pytest.CaptureFixture[str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """polo in this process: exit code, stdout and stderr."""
    monkeypatch.setenv("POLO_CACHE", str(cache))

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs of the session, so that the base is made once."""
    return tmp_path_factory.mktemp("cache")


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


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, str]:
    """A finished run that nobody may change, and what it said."""
    place = tmp_path_factory.mktemp("original")
    (place / "toy.yaml").write_text(RECIPE)
    done = command("run", str(place / "toy.yaml"), f"out={place / 'runs'}", POLO_CACHE=str(cache))
    return Path(done.stdout.strip().splitlines()[-1]), done.stdout


@pytest.fixture
def toy(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's file; the current folder is its own."""
    monkeypatch.setenv("POLO_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path
