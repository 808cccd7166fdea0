"""A run's rows as preference data: what is written, that it trains to the same losses, and what cannot be written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.pairs import conversation_rows
from tests.pairs import recipe as recipe_of_pairs
from tests.run.toy import RECIPE, Main, metrics

UNIFORM = (
    "stages.prefer.sampler={use: uniform, k: 3, resample: epoch}",
    "stages.prefer.loss=sdpo",
    "stages.prefer.steps=3",
)
#: the last stage alone, from the base: then both runs begin with the same weights
PREFER = """\
polo: 1
name: again
data: {use: preferences, train: ROWS/train.jsonl, valid: ROWS/valid.jsonl, test: ROWS/test.jsonl}
candidates: {n: 10, negatives: file}
policy: {use: causal_lm, base: BASE, lora: {r: 4, dropout: 0.0}}
reference: base
stages:
  prefer: {sampler: given, beta: {use: dual_margin, margin: 6.0}, loss: sdpo, steps: 3, lr: 1e-3, batch: 16}
evaluate: {evaluators: [mrr], baselines: []}
"""


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def run(polo: Main, path: Path, *words: str) -> Path:
    code, out, err = polo("run", str(path), f"out={path.parent / 'runs'}", *words)
    assert code == 0, out + err
    return Path(out.strip().splitlines()[-1])


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The toy recipe without its supervised stage."""
    monkeypatch.chdir(tmp_path)
    sft = next(line for line in RECIPE.splitlines(keepends=True) if line.startswith("  sft:"))
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE.replace(sft, "").replace("reference: sft", "reference: base"), encoding="utf-8")
    return path


def test_what_is_exported_trains_to_the_same_losses(toy: Path, polo: Main) -> None:
    first = run(polo, toy, *UNIFORM)
    code, out, err = polo("export-rows", str(first))
    assert code == 0, err
    rows = Path(out.strip())
    assert rows == first / "rows"
    written = read(rows / "train.jsonl")
    assert all(len(set(row["rejected"])) == 3 and row["chosen"] not in row["rejected"] for row in written)
    assert all(len(row["rejected"]) == 9 for row in read(rows / "test.jsonl"))
    path = toy.parent / "again.yaml"
    path.write_text(PREFER.replace("ROWS", str(rows)).replace("BASE", str(first / "base")), encoding="utf-8")
    again = run(polo, path)
    one, other = ([line for line in metrics(folder) if "loss" in line] for folder in (first, again))
    assert len(one) == len(other) == 3
    for name in ("loss", "grad_norm", "logps/chosen", "logps/rejected", "rewards/margins"):
        assert [line[name] for line in one] == pytest.approx([line[name] for line in other], rel=1e-4, abs=1e-6), name
    measured = [
        json.loads((folder / "results.json").read_text())["systems"]["model"]["mrr"] for folder in (first, again)
    ]
    assert measured[0]["value"] == pytest.approx(measured[1]["value"], abs=1e-6)
    code, _, err = polo("export-rows", str(first))
    assert code == 2
    assert "exists already" in err
    # pairs are a line for each negative; another epoch drew other negatives for the same rows
    for name, words in (("pairs", ("--pairs",)), ("later", ("--epoch", "1"))):
        assert polo("export-rows", str(first), "--to", str(toy.parent / name), *words)[0] == 0
    pairs, later = (read(toy.parent / name / "train.jsonl") for name in ("pairs", "later"))
    assert pairs == [{**row, "rejected": one} for row in written for one in row["rejected"]]
    assert [row["chosen"] for row in later] == [row["chosen"] for row in written]
    assert [row["rejected"] for row in later] != [row["rejected"] for row in written]
    code, _, err = polo("export-rows", str(first), "--stage", "sft", "--to", str(toy.parent / "x"))
    assert code == 2
    assert "no stage 'sft'" in err


def test_a_sampler_that_looks_at_the_policy_is_refused_and_nothing_is_left(toy: Path, polo: Main) -> None:
    first = run(polo, toy, "stages.prefer.sampler={use: dns, from: {use: uniform, k: 6}, k: 2, m: 4}",
                "stages.prefer.loss=sdpo", "stages.prefer.steps=1")  # fmt: skip
    code, _, err = polo("export-rows", str(first))
    assert code == 2
    assert "chooses by what the policy scores" in " ".join(err.split())
    assert not (first / "rows").exists()


def test_conversations_come_back_as_they_were(tmp_path: Path, polo: Main) -> None:
    rows = conversation_rows(30, rejected=2)
    first = run(polo, recipe_of_pairs(tmp_path, rows), "stages.prefer.steps=1")
    assert polo("export-rows", str(first), "--to", str(tmp_path / "rows"))[0] == 0
    assert polo("export-rows", str(first), "--stage", "sft", "--to", str(tmp_path / "sft"))[0] == 0
    written = [row for name in ("train", "valid", "test") for row in read(tmp_path / "rows" / f"{name}.jsonl")]
    assert sorted(map(json.dumps, written)) == sorted(map(json.dumps, rows))
    good = read(tmp_path / "sft" / "train.jsonl")
    assert all(row.keys() == {"prompt", "completion"} for row in good)
