"""A run whose candidates are the whole catalogue: its files, and every command that reads them."""

from __future__ import annotations

import json
import shutil
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


@pytest.mark.parametrize("ranks", ["exact", "first"])
def test_a_search_measures_what_scoring_all_measures(run: Path, ranks: str, polo: Main, tmp_path: Path) -> None:
    """On a copy. Of 120 titles 6 are kept, so that ``first`` leaves most targets behind them unknown."""
    copy = shutil.copytree(run, tmp_path / "run")
    before = pq.read_table(copy / "eval" / "per_row.parquet").to_pydict()
    scored = pq.read_table(copy / "eval" / "scores-model.parquet").to_pydict()
    judges = ["{use: hit_ratio, k: [1, 5, 6]}", "{use: ndcg, k: [5]}"]
    judges += ["mrr", "average_precision"] * (ranks == "exact")
    search = f"{{use: search, mean: {str(ranks == 'exact').lower()}, first: 6, ranks: {ranks}}}"
    words = [f"evaluate.scorer={search}", f"evaluate.evaluators=[{', '.join(judges)}]", "evaluate.baselines=[]"]
    code, _, err = polo("eval", copy, *words)
    assert code == 0, err
    after = pq.read_table(copy / "eval" / "per_row.parquet").to_pydict()
    names = {name for name in after if name.startswith(("model/", "sft/"))}
    assert {"model/hit_ratio@5", "model/ndcg@5"} <= names
    assert ({"model/preference_accuracy", "model/ndcg@5/mean", "model/mrr"} <= names) == (ranks == "exact")
    for name in names & set(before):
        assert after[name] == pytest.approx(before[name], abs=1e-9), name
    kept = pq.read_table(copy / "eval" / "scores-model.parquet").to_pydict()
    assert [len(one) for one in kept["items"]] == [6] * len(kept["row"])
    sure = 0
    for i, items in enumerate(kept["items"]):
        assert kept["scores"][i] == pytest.approx(scored["scores"][i][:6], abs=1e-4)
        if kept["exact"][i]:
            sure += 1
            assert kept["above"][i] == scored["above"][i]
        else:
            assert 6 <= kept["above"][i] <= scored["above"][i]
            assert kept["target"][i] not in items
    assert sure == 40 if ranks == "exact" else 0 < sure < 40
    assert polo("report", copy)[0] == 0


@pytest.mark.parametrize(
    ("words", "both"),
    [
        (["evaluate.evaluators=[reward]"], ["evaluator 'reward' needs reference", "candidates.n: all"]),
        (["candidates.negatives=file"], ["n: all ranks the whole catalogue", "negatives: file"]),
        (["stages.sft.validate.metric=reward"], ["validate.metric=reward'", "evaluator 'reward' needs reference"]),
        (["stages.sft.validate.metric={use: ndcg, k: [1, 5]}"], ["one figure", "ndcg@1, ndcg@5"]),
        (["evaluate.scorer=vllm"], ["scorer 'vllm' scores lists", "candidates.n: all"]),
        (["evaluate.scorer=search"], ["evaluator 'coverage' needs the scores of all items", "scorer 'search'"]),
        (
            ["evaluate.scorer={use: search, ranks: first}", "evaluate.evaluators=[mrr, {use: ndcg, k: [101]}]"],
            ["'mrr' looks at every rank", "'ndcg' looks at the first 101", "tells the first 100 apart"],
        ),
        (
            [
                "evaluate.scorer=search",
                "policy={use: mf, dim: 4}",
                "evaluate.evaluators=[mrr]",
                "stages.sft.loss=bpr",
                "stages.sft.sampler={use: uniform, k: 2}",
            ],
            ["scorer 'search' lets the policy find", "policy 'mf' finds nothing", "causal_lm"],
        ),
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
