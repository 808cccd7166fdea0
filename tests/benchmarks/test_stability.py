"""The stability study at toy size: cells are measured, kept, skipped when they are there, and summed up."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "stability.py"


def run(out: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "POLO_DATA"}
    words = [sys.executable, str(PROGRAM), "--toy", "--out", str(out), *arguments]
    return subprocess.run(words, capture_output=True, text=True, check=False, env=clean)


def test_cells_are_measured_once_and_a_table_is_made(tmp_path: Path) -> None:
    ended = run(tmp_path, "--jobs", "2")
    assert ended.returncode == 0, ended.stdout + ended.stderr
    plain, noisy = (json.loads((tmp_path / "cells" / f"toy-toy-{d}.json").read_text()) for d in ("seed0", "noise1"))
    for record in (plain, noisy):  # 60 rows
        for figure in ("base", "base_valid", "sft"):
            assert round(record[figure] * 60) / 60 == record[figure]
    assert plain["losses"] != noisy["losses"]
    assert abs(plain["losses"][0] - noisy["losses"][0]) < 1e-3
    again = run(tmp_path)
    assert again.returncode == 0
    assert "CPU" in again.stdout.splitlines()[0]
    assert again.stdout.splitlines()[2].startswith("| toy | toy | 2 |")


def test_what_is_not_done_in_time_is_stopped_and_leaves_nothing(tmp_path: Path) -> None:
    ended = run(tmp_path, "--seconds", "0")
    assert ended.returncode == 0
    assert "time is up; not done: 0 begun, 2 waiting" in ended.stdout
    assert not (tmp_path / "cells").exists()
