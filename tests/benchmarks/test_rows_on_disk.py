"""``benchmarks/rows_on_disk.py`` at toy size: its figures are there, and mapped files are not counted as memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.repository.sources import ROOT

SCRIPT = ROOT / "benchmarks" / "rows_on_disk.py"


def test_times_and_memory_are_measured_for_each_number_of_events(tmp_path: Path) -> None:
    words = ["--events", "3000", "6000", "--users", "100", "--items", "50", "--json", str(tmp_path / "found.json")]
    done = subprocess.run(
        [sys.executable, str(SCRIPT), *words, "--policies"], capture_output=True, text=True, check=False
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads((tmp_path / "found.json").read_text())
    assert set(found["measured"]) == {"3000", "6000"}
    for one in found["measured"].values():
        assert {"rows", "first_seconds", "first_anon", "first_cpu", "again_seconds", "again_anon"} <= set(one)
        assert 0 < one["first_anon"] < one["first_resident"]
    # 3,000 events of 100 users over 50 items: few pairs are left out, and twice the events are not twice as many pairs
    assert 1000 < found["measured"]["3000"]["rows"] < found["measured"]["6000"]["rows"] < 2 * 3000
    assert "growth with the events" in done.stdout


def test_a_benchmark_that_fails_says_what_failed(tmp_path: Path) -> None:
    sys.path.insert(0, str(SCRIPT.parent))
    try:
        import rows_on_disk
    finally:
        sys.path.remove(str(SCRIPT.parent))
    with pytest.raises(SystemExit, match="no such thing"):
        rows_on_disk.watched([sys.executable, "-c", "raise SystemExit('no such thing')"], {})
    said, took = rows_on_disk.watched([sys.executable, "-c", "print(len(bytes(50_000_000)))"], {})
    assert (said, took["cpu"] >= 0) == ("50000000\n", True)
