"""A run on data without a catalogue: from files to results, resumed alike, and what needs a catalogue is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.pairs import conversation_rows, recipe, text_rows
from tests.run.toy import Main, metrics


@pytest.fixture
def pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe with texts of one to two rejected answers."""
    monkeypatch.chdir(tmp_path)
    return recipe(tmp_path, text_rows(60, rejected=2))


def run(polo: Main, path: Path, *words: str) -> Path:
    code, out, err = polo("run", str(path), f"out={path.parent / 'runs'}", *words)
    assert code == 0, out + err
    return Path(out.strip().splitlines()[-1])


def test_pairs_train_and_are_measured_with_intervals_by_prompt(pairs: Path, polo: Main) -> None:
    folder = run(polo, pairs)
    results = json.loads((folder / "results.json").read_text())
    assert (results["rows"], results["users"], results["protocol"]["n"]) == (6, 6, 3)
    assert {"base", "sft", "model", "random", "length"} == set(results["systems"]), "none that counts in a catalogue"
    for system in results["systems"].values():
        assert 0 <= system["preference_accuracy"]["low"] <= system["preference_accuracy"]["value"] <= 1
    assert {"reward_accuracy", "reward_margin", "likelihood/chosen"} <= set(results["systems"]["model"])
    assert "likelihood/chosen/mean" not in results["systems"]["model"], "it is a mean already"
    assert {"likelihood/chosen", "length_controlled_accuracy"} <= set(results["systems"]["base"])
    assert results["baselines"] == "all"
    scores = [
        pq.read_table(folder / "eval" / f"scores-{name}.parquet")["scores"].to_pylist() for name in ("base", "sft")
    ]
    assert scores[0] != scores[1]
    code, _, err = polo("eval", str(folder))
    assert code == 0, err
    assert scores[0] == pq.read_table(folder / "eval" / "scores-base.parquet")["scores"].to_pylist()
    steps = [line for line in metrics(folder) if line["stage"] == "prefer" and "loss" in line]
    # 2 beta 2/(r1 + r2) (r1 + r2) off = 2, whatever beta is: at the reference all log-ratios are 0
    assert steps[0]["loss"] == pytest.approx(2.0, abs=1e-4)
    assert steps[-1]["loss"] != steps[0]["loss"]
    audits = json.loads((folder / "audits.json").read_text())
    assert not {"overlap", "popularity", "candidates", "leakage"} & {one["name"] for one in audits["checks"]}
    examples = json.loads((folder / "eval" / "examples.json").read_text())
    assert all(one["history"][0].startswith("Number ") for one in examples)
    assert all(len(one["candidates"]) in (2, 3) for one in examples)


def test_conversations_train_too(tmp_path: Path, polo: Main) -> None:
    path = recipe(tmp_path, conversation_rows(40, rejected=2))
    folder = run(
        polo, path, "stages.prefer.loss=dpo", "stages.prefer.steps=2", "stages.prefer.sampler={use: uniform, k: 2}"
    )
    assert len([line for line in metrics(folder) if "loss" in line]) == 5


def test_kto_takes_the_answers_of_other_prompts(pairs: Path, polo: Main) -> None:
    folder = run(polo, pairs, "stages.prefer.loss=kto", "stages.prefer.steps=2")
    first = next(line for line in metrics(folder) if line["stage"] == "prefer" and "loss" in line)
    assert first["loss"] == pytest.approx(0.5, abs=1e-4)


@pytest.mark.parametrize(
    ("change", "what"),
    [
        ("stages.prefer.sampler={use: popularity, k: 2}", "sampler 'popularity'"),
        ("stages.prefer.sampler={use: in_batch, k: 2}", "sampler 'in_batch'"),
        ("stages.prefer.sampler={use: hard, from: {use: uniform, k: 2, pool: catalogue}, n: 1}", "sampler 'hard'"),
        ("evaluate.evaluators=[{use: coverage, k: [1]}]", "evaluator 'coverage'"),
        ("candidates.negatives=uniform", "candidates.negatives: uniform"),
        ("policy={use: mf}", "policy 'mf'"),
    ],
)
def test_what_needs_a_catalogue_is_refused_with_both_sides(pairs: Path, polo: Main, change: str, what: str) -> None:
    code, _, err = polo("run", str(pairs), change)
    assert code == 2
    assert f"{what} needs a catalogue; in data 'preferences' each answer belongs to its row" in " ".join(err.split())
    assert not (pairs.parent / "runs").exists()


def test_a_ranking_of_the_whole_catalogue_is_refused_where_there_is_none(pairs: Path, polo: Main) -> None:
    pairs.write_text(pairs.read_text().replace("{n: 3, negatives: file}", "{n: all}"))
    code, _, err = polo("run", str(pairs))
    assert code == 2
    assert "candidates.n: all needs a catalogue; in data 'preferences' each answer" in " ".join(err.split())


def test_a_baseline_that_counts_in_a_catalogue_is_refused_by_name(pairs: Path, polo: Main) -> None:
    code, _, err = polo("run", str(pairs), f"out={pairs.parent / 'runs'}", "evaluate.baselines=[random, markov]")
    assert code == 2
    assert "baseline 'markov' needs a catalogue" in " ".join(err.split())


def test_the_length_of_the_lists_is_that_of_the_file(pairs: Path, polo: Main) -> None:
    code, _, err = polo("run", str(pairs), "candidates.n=2")
    assert code == 2
    assert "set candidates.n to 3" in " ".join(err.split())


def test_recommending_is_refused(pairs: Path, polo: Main) -> None:
    folder = run(polo, pairs)
    code, _, err = polo("recommend", str(folder), "--history", "x")
    assert code == 2
    assert "recommending needs a catalogue" in " ".join(err.split())
