"""The study of losses on sets at toy size: every loss gets its budget, and what is done is not done again."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "drrl.py"


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, check=False)


def test_each_loss_is_searched_and_measured_and_a_second_call_trains_nothing(tmp_path: Path) -> None:
    words = ["--toy", "--backbones", "mf", "--losses", "drrl", "sl", "--out", str(tmp_path)]
    first = run(*words, "--json", str(tmp_path / "one.json"))
    assert first.returncode == 0, first.stderr
    report = json.loads((tmp_path / "one.json").read_text())
    assert [row["loss"] for row in report["rows"]] == ["drrl", "sl"]
    for row in report["rows"]:
        figure = row["ndcg@20"]
        assert figure["low"] <= figure["mean"] <= figure["high"]
        assert abs(sum(figure["seeds"]) / 2 - figure["mean"]) < 1e-12
        assert figure["seeds"][0] != figure["seeds"][1]
    assert [(line["loss"], line["rate"]) for line in report["noise"]] == [("drrl", 0.5), ("sl", 0.5)]
    # two losses: two searched settings, two seeds, and the same seeds with false negatives
    cells = sorted(path.stem for path in tmp_path.glob("amazonBeauty-*/*.json"))
    assert len(cells) == 2 * (2 + 2 + 2)
    again = run(*words, "--report", "--json", str(tmp_path / "two.json"))
    assert again.returncode == 0, again.stderr
    assert "CPU" not in again.stdout
    assert json.loads((tmp_path / "two.json").read_text()) == report
