"""The benchmark of embedding recommenders at toy size: both forms of every work come to the same."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "benchmarks" / "collaborative.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "POLO_DATA"}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        capture_output=True, text=True, check=False, env={**clean, **environment},
    )  # fmt: skip


def test_forms_agree_and_the_report_has_a_line_for_each_work(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    ended = run("--smoke", "--json", str(out))
    assert ended.returncode == 0, ended.stderr
    report = json.loads(out.read_text())
    assert [row["agree"] for row in report["rows"]] == [True] * 4
    assert all(row["time_ratio"] > 0 for row in report["rows"])
    assert [row["memory_ratio"] is not None for row in report["rows"]] == [True, False, False, False]
    assert report["growth"] is None


def test_a_form_in_a_process_of_its_own_says_its_figure_last() -> None:
    ended = run("--smoke", "--child", "draw", "ours", "0")
    assert ended.returncode == 0, ended.stderr
    figure = json.loads(ended.stdout.splitlines()[-1])
    assert figure["seconds"] > 0
    assert figure["megabytes"] == 0


def test_without_data_a_sentence_says_what_is_missing() -> None:
    ended = run("--only", "draw")
    assert ended.returncode == 2
    assert "--data FOLDER" in ended.stderr
    assert "Traceback" not in ended.stderr
