"""The study of collapse at toy size: a cell runs to its end, is kept, and is not run again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "collapse.py"


def run(out: Path) -> subprocess.CompletedProcess[str]:
    words = ["--smoke", "--objectives", "dmpo", "--ks", "4", "--variants", "dynamic", "--out", str(out)]
    return subprocess.run([sys.executable, str(PROGRAM), *words], capture_output=True, text=True, check=False)


def test_a_cell_runs_to_its_end_and_only_once(tmp_path: Path) -> None:
    ended = run(tmp_path)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    record = tmp_path / "cells" / "demo-s0-dmpo-k4-dynamic.json"
    found = json.loads(record.read_text())
    assert found["test_rows"] == 60
    assert 0 < found["gradient_start"]["boundary_negatives"] < 1
    assert found["gradient_start"]["boundary_share"] == 1.0  # DynamicPO keeps boundary negatives alone
    stamp = record.stat().st_mtime_ns
    assert run(tmp_path).returncode == 0
    assert record.stat().st_mtime_ns == stamp
