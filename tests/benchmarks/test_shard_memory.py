"""The table of peaks, at a size that is seen above what libraries take."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "shard_memory.py"


@pytest.mark.slow
def test_a_process_that_reads_its_part_never_holds_all_weights(tmp_path: Path) -> None:
    words = ["--processes", "2", "--hidden", "512", "--layers", "12", "--vocab", "8000", "--json", str(tmp_path / "f")]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([sys.executable, str(SCRIPT), *words], check=True, env=environment, capture_output=True)
    found = json.loads((tmp_path / "f").read_text())
    weights, whole, parts = found["weights"], found["peak"]["whole"]["2"], found["peak"]["parts"]["2"]
    assert parts < 0.8 * weights < weights < whole
