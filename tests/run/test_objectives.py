"""Objectives of several kinds, from recipe to results: softmax, linear, whole-batch, and losses of recommenders."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from polo.cli import main

#: loss -> its beta, its sampler, and its value where policy and reference are the same weights
OBJECTIVES = {
    # -log(1 / (1 + k)): the chosen title and k negatives have log-ratio 0
    "sdpo": (1.0, "{use: uniform, k: 4}", math.log(5)),
    # 4 beta |0 - 1 / (2 beta)| = 2, whatever beta is; the regulariser is 0 at log-ratio 0
    "lpo": (0.2, "{use: top, k: 2, m: 5}", 2.0),
    # 1/2 [(1 - sigmoid(0)) + (1 - sigmoid(0))]; needs mismatched pairs and the whole batch
    "kto": (0.1, "{use: uniform, k: 3}", 0.5),
    # recommender losses on log-ratios, all 0: log(1 + k) again; hinge 1 and 2 * (0 - -1)
    "{use: softmax, reward: log_ratio}": (1.0, "{use: uniform, k: 4}", math.log(5)),
    "{use: ccl, reward: log_ratio, margin: -1.0, weight: 2.0}": (0.1, "{use: uniform, k: 3}", 3.0),
    # hinge 1; the excess over b = -1 is 1 for all, slope 1 - c = -1: each row of a user moves b by 1e-9; 2 * 1 - 1
    "{use: drrl, reward: log_ratio, c: 2.0, eps: 0.0, threshold: -1.0, threshold_lr: 1e-9}": (
        0.1,
        "{use: uniform, k: 3}",
        2.0,
    ),
    # the worst mean of equal rewards is their value
    "{use: drrl, reward: log_ratio, c: 2.0, eps: 0.0, solver: bisect}": (0.1, "{use: uniform, k: 3}", 1.0),
}


def finish(*words: str) -> None:
    """The command in this process; fails when it does not end with 0."""
    with pytest.raises(SystemExit) as stopped:
        main(["run", *words])
    assert stopped.value.code == 0


@pytest.mark.parametrize("loss", OBJECTIVES)
def test_an_objective_runs_from_recipe_to_results(
    toy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], loss: str
) -> None:
    beta, sampler, at_start = OBJECTIVES[loss]
    finish(
        str(toy),
        f"out={tmp_path / 'runs'}",
        f"stages.prefer.sampler={sampler}",
        f"stages.prefer.beta={{use: fixed, value: {beta}}}",
        f"stages.prefer.loss={loss}",
        "stages.prefer.steps=3",
        "stages.prefer.validate.every=0",
        "evaluate.baselines=[]",
    )
    folder = Path(capfd.readouterr().out.strip().splitlines()[-1])
    lines: list[dict[str, Any]] = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [line for line in lines if line["stage"] == "prefer" and "loss" in line]
    assert [line["step"] for line in steps] == [0, 1, 2]
    assert steps[0]["loss"] == pytest.approx(at_start, abs=1e-4)
    assert all(line["kept"] == 1.0 and line["beta"] == pytest.approx(beta) for line in steps)
    assert steps[0]["grad_norm"] > 0
    assert steps[-1]["loss"] != steps[0]["loss"], "the weights have moved"
    systems = json.loads((folder / "results.json").read_text())["systems"]
    assert set(systems) == {"sft", "model"}
    rows = pq.read_table(folder / "eval" / "per_row.parquet")
    for system, found in systems.items():
        hits = rows[f"{system}/hit_ratio@1"].to_pylist()
        assert len(hits) == 40
        assert found["hit_ratio@1"]["value"] == pytest.approx(sum(hits) / 40)


@pytest.mark.slow
def test_the_collapse_study_runs_resumes_and_reports(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLO_CACHE", str(cache))
    script, out = Path(__file__).resolve().parents[2] / "benchmarks" / "collapse.py", tmp_path / "study"

    def study(*words: str) -> subprocess.CompletedProcess[str]:
        words = (sys.executable, str(script), "--smoke", "--out", str(out), *words)
        return subprocess.run(words, capture_output=True, text=True, check=False)

    first = study("--objectives", "dmpo")
    assert first.returncode == 0, first.stdout + first.stderr
    assert first.stderr.count("sft: taken from the cache") == 3, "four cells share one SFT stage"
    records = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [(r["variant"], r["k"]) for r in records] == [("plain", 1), ("plain", 4), ("dynamic", 1), ("dynamic", 4)]
    assert len({r["sft/hit_ratio@1"]["value"] for r in records}) == 1
    plain, dynamic = records[1], records[3]
    # policy = reference: the weight of each of DMPO's k negatives is sigmoid(0) beta / k, boundary or not
    start = plain["gradient_start"]
    assert start["boundary_share"] == pytest.approx(start["boundary_negatives"])
    assert start["boundary_each"] == pytest.approx(start["easy_each"]) == pytest.approx(0.5 / 4)
    # DynamicPO: easy negatives do not enter the loss
    assert dynamic["gradient_end"]["boundary_share"] == 1.0
    assert plain["kept"] == 1.0 > dynamic["kept"] > 0
    assert (plain["mean_beta"], 0.5 <= dynamic["mean_beta"] <= 1.5) == (1.0, True)
    (record,) = (out / "cells").glob("*dmpo-k4-plain.json")
    record.unlink()
    again = study("--objectives", "dmpo")
    assert "prefer step" not in again.stderr, "its run is finished; only the record is made again"
    made = [json.loads(line) for line in (out / "results.jsonl").read_text().splitlines()]
    assert [{**r, "cpu_seconds": 0} for r in made] == [{**r, "cpu_seconds": 0} for r in records]
    assert "Intervals are 95% bootstraps clustered by user" in (out / "conclusions.md").read_text()
    other = study("--lr", "0.5")
    assert (other.returncode, "other settings: lr 0.001 there, 0.5 here" in other.stderr) == (2, True)
