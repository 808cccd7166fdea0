"""The study of LPO's control at toy size: cells are measured, kept, and told as a table and a page."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.pairs import conversation_rows, write

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "lpo_control.py"


def test_cells_are_measured_once_and_told(tmp_path: Path) -> None:
    rows = write(tmp_path / "pairs.jsonl", conversation_rows(60))
    words = [sys.executable, str(PROGRAM), "--toy", "--out", str(tmp_path / "out"), "--data", str(rows)]
    environment = {**os.environ, "POLO_CACHE": str(tmp_path / "cache")}
    ended = subprocess.run(words, capture_output=True, text=True, check=False, env=environment)
    assert ended.returncode == 0, ended.stderr
    cells = [json.loads(path.read_text()) for path in sorted((tmp_path / "out" / "cells").glob("*.json"))]
    assert [one["objective"] for one in cells] == ["LPO r2=0.1", "LPO r2=1"]
    for one in cells:
        assert one["steps"] == [0, 1, 2]
        # the stage begins with the weights of the reference
        assert one["valid/log_ratio/chosen"][0] == pytest.approx(0.0, abs=1e-4)
        assert one["valid/log_ratio/rejected/mean"][0] == pytest.approx(0.0, abs=1e-4)
    assert cells[0]["valid/log_ratio/chosen"][1:] != cells[1]["valid/log_ratio/chosen"][1:]
    assert ended.stdout.splitlines()[2].startswith("| LPO r2=0.1 | 1 | ")
    assert (tmp_path / "out" / "control.html").read_text().count("<figure") == 6
    again = subprocess.run([*words, "--report"], capture_output=True, text=True, check=False, env=environment)
    assert again.stdout == ended.stdout
