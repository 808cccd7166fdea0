"""A run whose candidates are the whole catalogue: its files, and every command that reads them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from polo.report.runs import read_margins
from tests.run.toy import RECIPE, Main, command, folder_of

ALL = RECIPE.replace("candidates: {n: 10, negatives: uniform}", "candidates: {n: all}").replace(
    "mrr]", "mrr, average_precision, {use: coverage, k: [5]}]"
)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a cache of its own: stages of a run with lists have the same weights, and were measured on lists."""
    place = tmp_path_factory.mktemp("whole")
    (place / "toy.yaml").write_text(ALL)
    done = command("run", str(place / "toy.yaml"), f"out={place / 'runs'}", POLO_CACHE=str(place / "cache"))
    assert "the whole catalogue each (mask taken)" in done.stdout
    return folder_of(done)


def test_places_and_the_best_are_kept_for_every_system(run: Path) -> None:
    results = json.loads((run / "results.json").read_text())
    assert (results["protocol"]["n"], results["protocol"]["negatives"]) == ("all", "mask taken")
    assert {"model", "sft", "markov", "popularity"} <= set(results["systems"])
    per_row = pq.read_table(run / "eval" / "per_row.parquet")
    for system in results["systems"]:
        kept = pq.read_table(run / "eval" / f"scores-{system}.parquet").to_pydict()
        assert {len(items) for items in kept["items"]} == {min(100, n) for n in kept["ranked"]}
        assert max(kept["ranked"]) <= 120
        for i, (items, scores) in enumerate(zip(kept["items"], kept["scores"], strict=True)):
            assert scores == sorted(scores, reverse=True)
            better = sum(score > kept["score"][i] for score in scores)
            assert better == min(kept["above"][i], len(items)), "the target's place is that among the best"
            if kept["tied"][i] == 0:
                assert per_row[f"{system}/mrr"][i].as_py() == pytest.approx(1 / (kept["above"][i] + 1))
    assert set(results["whole"]["model"]) >= {"coverage@5", "coverage@5/mean"}
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert any("valid/hit_ratio@1" in line for line in lines), "validation ranks the whole catalogue too"


def test_margins_are_those_of_the_best_other_item(run: Path) -> None:
    kept = pq.read_table(run / "eval" / "scores-model.parquet").to_pydict()
    found = read_margins(run, "model")
    assert np.array_equal(
        found > 0, [above == 0 and tied == 0 for above, tied in zip(kept["above"], kept["tied"], strict=True)]
    )


def test_commands_read_both_kinds_and_compare_no_unlike_ones(
    run: Path, original: tuple[Path, str], polo: Main, tmp_path: Path
) -> None:
    assert polo("report", run)[0] == 0
    assert "the whole catalogue each" in (run / "report.html").read_text()
    code, out, _ = polo("compare", run, "--with", "markov")
    assert code == 0
    assert "the whole catalogue each" in out
    code, _, err = polo("compare", run, original[0])
    assert code == 2
    assert "n: 'all' and 10" in err
    history = json.loads((run / "eval" / "examples.json").read_text())[0]["history"]
    assert polo("recommend", run, "--history", "; ".join(history[-2:]))[0] == 0


@pytest.mark.parametrize(
    ("words", "both"),
    [
        (["evaluate.evaluators=[reward]"], ["evaluator 'reward' needs reference", "candidates.n: all"]),
        (["candidates.negatives=file"], ["n: all ranks the whole catalogue", "negatives: file"]),
        (["stages.sft.validate.metric=reward"], ["validate.metric=reward'", "evaluator 'reward' needs reference"]),
        (["stages.sft.validate.metric={use: ndcg, k: [1, 5]}"], ["one figure", "ndcg@1, ndcg@5"]),
        (["evaluate.scorer=vllm"], ["scorer 'vllm' scores lists", "candidates.n: all"]),
        (["policy.prompt.candidates=shown"], ["policy 'causal_lm' ranks a list", "candidates.n: all"]),
    ],
)
def test_what_needs_lists_is_refused_by_both_names(words: list[str], both: list[str], toy: Path, polo: Main) -> None:
    toy.write_text(ALL)
    code, _, err = polo("run", toy, *words)
    assert code == 2
    said = " ".join(err.split())
    for name in both:
        assert name in said
