"""Whole steps of TRL's trainers and of polo, as the benchmark runs them: the same losses, rewards and weights."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

pytestmark = pytest.mark.oracle

BENCHMARK = Path(__file__).resolve().parents[2] / "benchmarks" / "trl.py"


def run(*words: str) -> subprocess.CompletedProcess[str]:
    """In a process of its own: the benchmark has the name of the library."""
    return subprocess.run([sys.executable, str(BENCHMARK), *words], capture_output=True, text=True, check=False)


def test_the_benchmarks_smoke_agrees_and_writes_what_it_says_it_writes(tmp_path: Path) -> None:
    if find_spec("trl") is None:
        pytest.skip("the judge, trl, is not installed")
    done = run("--smoke", "--json", str(tmp_path / "out.json"))
    assert done.returncode == 0, done.stdout + done.stderr
    report = json.loads((tmp_path / "out.json").read_text())
    assert set(report["parity"]) == {"dpo", "kto"}
    assert max(report["parity"].values()) < 1e-4
    (cell,) = report["cost"]
    assert (cell["prompt"], cell["answer"], cell["k"]) == (50, 8, 2)
    assert cell["dgrad"] < 1e-4
    assert cell["memory_ratio"] > 1


def test_without_trl_a_sentence_says_what_to_install() -> None:
    blocked = (
        "import importlib.util, runpy, sys; find = importlib.util.find_spec; "
        "importlib.util.find_spec = lambda name, *rest: None if name == 'trl' else find(name, *rest); "
        f"runpy.run_path({str(BENCHMARK)!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", blocked], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "pip install trl==1.16.0" in done.stderr
    assert "Traceback" not in done.stderr
