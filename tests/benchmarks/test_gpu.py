"""The GPU benchmark at toy size on a CPU: its parts run, write one file, and go on from it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))

from gpu_bench import flops
from gpu_bench.profile import _union
from gpu_bench.report import Report, TimeUp
from step_bench.world import Shape, random_users

from polo_causal_lm.text import Encoded

SHELL = Path(__file__).resolve().parents[2] / "benchmarks" / "gpu.sh"
SMALL = Shape("small", 4, 6, 3, 2, 1, 2, 10, {})


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(SHELL), *arguments], capture_output=True, text=True, check=False, timeout=200,
        env={**os.environ, "PYTHON": sys.executable},
    )  # fmt: skip


def test_parts_run_at_toy_size_and_are_not_run_again(tmp_path: Path) -> None:
    out = tmp_path / "report.json"
    ended = run("--toy", "--parts", "step,topk,scoring,nf4,two", "--out", str(out))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    cells = json.loads(out.read_text())["cells"]
    done = {name for name, cell in cells.items() if cell["status"] == "done"}
    assert {
        "step/toy k=1",
        "step/toy k=5",
        "profile/toy k=1",
        "topk/toy 300",
        "scoring/toy 4",
    } <= done
    assert cells["agreement/toy k=5"]["agrees"]
    assert cells["two/ddp"]["status"] == "skipped"
    assert all(cell["device"].startswith("cpu") for cell in cells.values())
    again = run("--toy", "--parts", "step,scoring", "--out", str(out))
    assert again.returncode == 0
    assert json.loads(out.read_text())["cells"] == cells


def test_what_cannot_be_is_told_in_a_sentence() -> None:
    for words, said in ((["--parts", "steps"], "no such part: steps"), (["--device", "cpu"], "a CPU runs --toy")):
        ended = run(*words)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert "Traceback" not in ended.stderr


def test_a_part_ends_in_its_time_and_keeps_what_is_finished(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.json", "cpu", toy=True)

    def endless() -> dict[str, int]:
        while True:
            pass

    def part() -> None:
        with report.limited(5.0):
            report.cell("a/first", lambda: {"figure": 1})
            report.cell("a/second", endless)

    with pytest.raises(TimeUp):
        part()
    cells = json.loads((tmp_path / "r.json").read_text())["cells"]
    assert [(name, cell["figure"]) for name, cell in cells.items()] == [("a/first", 1)]


def test_a_cell_that_fails_is_told_and_measured_again(tmp_path: Path) -> None:
    report = Report(tmp_path / "r.json", "cpu", toy=True)
    report.cell("a", lambda: {"figure": 1 // 0})
    report.cell("b", lambda: {"agrees": False})
    assert report.failed == ["a", "b"]
    report = Report(tmp_path / "r.json", "cpu", toy=True)
    assert "ZeroDivisionError" in report.cells["a"]["error"]
    report.cell("a", lambda: {"figure": 2})
    assert report.cells["a"]["figure"] == 2


def test_flop_of_one_user_are_those_on_paper() -> None:
    """Prompt of 4, titles of 2 and 3 tokens: 7 tokens fed, 4 predict, 10 + (4 + 1) + (2 * 4 + 3) = 26 pairs.

    A layer: q and o 2 * 4 * 4 = 32, k and v 2 * 4 * 2 = 16, feed-forward 3 * 4 * 6 = 72. Two whole layers and the last:
    2 * 7 * 120 + 7 * 16 + 4 * 104 = 2208 weights. Attention 4 * 3 * 2 * 2 * 26 = 1248; head 2 * 4 * 4 * 10 = 320.
    Adapters of rank 2: 2 * 2 * (2 * 8 + 2 * 6 + 3 * 10) * 3 * 7 = 4872.
    """
    users = Encoded([np.arange(4)], [[np.arange(2), np.arange(3)]])
    assert flops.ours(SMALL, users, 2) == 2 * (2 * 2208 + 1248 + 320) + 3 * 4872
    assert flops.naive(SMALL, random_users(SMALL, 1, 1, 0), 2) > flops.ours(SMALL, random_users(SMALL, 1, 1, 0), 2)


def test_busy_time_counts_what_overlaps_once() -> None:
    assert _union([(1, 3), (0, 2), (5, 6)]) == 4
