"""Embedding policies through the command: preference losses after a supervised stage, eval, recommend, resume."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

import polo.train.loop
from polo.cli import main
from tests.polo_backbones.world import POLICIES, SEQUENTIAL

RECIPE = """\
polo: 1
name: toy
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10, negatives: uniform}
policy: {use: POLICY, dim: 8}
reference: fit
stages:
  fit:
    sampler: {use: uniform, k: 6}
    loss: softmax
    steps: 6
    lr: 0.01
    batch: 32
    checkpoint: 2
    validate: {rows: 20, every: 3}
  prefer: PREFER
evaluate:
  evaluators: [{use: hit_ratio, k: [1, 5]}, {use: ndcg, k: [5]}, mrr]
  baselines: [popularity, markov]
"""
SDPO = """
    sampler: {use: uniform, k: 4}
    beta: {use: fixed, value: 1.0}
    loss: sdpo
    steps: 4
    lr: 0.01
    batch: 16
    checkpoint: 2
"""
DYNAMIC = """
    sampler: {use: boundary, from: {use: uniform, k: 6}}
    beta: {use: dual_margin, margin: 6.0}
    loss: dmpo
    steps: 4
    lr: 0.01
    batch: 16
    checkpoint: 2
"""


class Cut(Exception):
    pass


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def recipe(policy: str, prefer: str = SDPO) -> str:
    path = Path("toy.yaml")
    path.write_text(RECIPE.replace("POLICY", policy).replace("PREFER", prefer), encoding="utf-8")
    return str(path)


def polo_ends(capfd: pytest.CaptureFixture[str], *words: str) -> str:
    """The command in this process; what it printed."""
    with pytest.raises(SystemExit) as ended:
        main(list(words))
    out, err = capfd.readouterr()
    assert ended.value.code == 0, err
    return out


def folder_of(out: str) -> Path:
    return Path(out.strip().splitlines()[-1])


def lines_of(folder: Path) -> list[dict[str, Any]]:
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in line.items() if key != "seconds"} for line in lines]


@pytest.mark.parametrize("policy", ["mf", "sasrec"])
@pytest.mark.parametrize(("prefer", "at_start"), [(SDPO, math.log(5)), (DYNAMIC, math.log(2))], ids=["sdpo", "dynamic"])
def test_a_preference_stage_begins_at_the_reference_and_the_run_is_evaluated_and_recommends(
    capfd: pytest.CaptureFixture[str], policy: str, prefer: str, at_start: float
) -> None:
    """At policy = reference all log-ratios are 0: S-DPO is log(1 + 4), DMPO softplus(0) = log 2."""
    still = ["policy.dropout=0"] if policy in SEQUENTIAL else []
    folder = folder_of(polo_ends(capfd, "run", recipe(policy, prefer), *still))
    steps = [line for line in lines_of(folder) if line["stage"] == "prefer" and "loss" in line]
    assert steps[0]["loss"] == pytest.approx(at_start, abs=1e-5)
    assert steps[0]["grad_norm"] > 0
    assert steps[-1]["loss"] != steps[0]["loss"]
    results = json.loads((folder / "results.json").read_text())
    assert set(results["systems"]) == {"fit", "model", "popularity", "markov"}
    assert {path.name for path in (folder / "final").iterdir()} >= {"policy.json", "policy.safetensors"}
    polo_ends(capfd, "eval", str(folder))
    again = json.loads((folder / "results.json").read_text())["systems"]["model"]
    assert again == results["systems"]["model"]
    shown = json.loads((folder / "eval" / "examples.json").read_text())[0]["history"]
    said = polo_ends(capfd, "recommend", str(folder), "--history", "; ".join(shown), "--top", "3", "--json")
    ranked = json.loads(said)["ranked"]
    assert len({one["title"] for one in ranked} - set(shown)) == 3
    assert all(one["proven"] for one in ranked)


@pytest.mark.parametrize("policy", POLICIES)
def test_law_a_run_that_was_cut_goes_on_bit_for_bit(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, place: Path, policy: str
) -> None:
    words = ["run", recipe(policy, DYNAMIC), "evaluate.baselines=[]"]
    whole = folder_of(polo_ends(capfd, *words, "out=whole"))
    monkeypatch.setenv("POLO_CACHE", str(place / "other"))
    measured = polo.train.loop.step_metrics

    def cut(*given: Any) -> dict[str, float]:
        seen.append(1)
        if len(seen) == 6 + 4:  # the last step of the second stage, two after its checkpoint
            raise Cut
        return measured(*given)

    seen: list[int] = []
    with monkeypatch.context() as patched:
        patched.setattr(polo.train.loop, "step_metrics", cut)
        with pytest.raises(Cut):
            main([*words, "out=cut"])
    capfd.readouterr()
    (folder,) = Path("cut").iterdir()
    polo_ends(capfd, *words, "out=cut", "--resume", str(folder))
    assert lines_of(folder) == lines_of(whole)
    final = "final/policy.safetensors"
    assert (folder / final).read_bytes() == (whole / final).read_bytes()
