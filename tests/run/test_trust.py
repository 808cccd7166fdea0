"""What a real run leaves for those who read its numbers: audits, slices, examples; and what can be done with it."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from tests.run.toy import Main


def test_a_run_keeps_audits_slices_examples_and_collapse_figures(original: tuple[Path, str]) -> None:
    folder, _ = original
    checks = json.loads((folder / "audits.json").read_text())["checks"]
    assert {"order", "overlap", "text"} <= {check["name"] for check in checks}
    text = next(check for check in checks if check["name"] == "text")
    assert "tokens" in text["meaning"]  # a text policy is at hand
    results = json.loads((folder / "results.json").read_text())
    n_rows = pq.read_table(folder / "eval" / "per_row.parquet").num_rows
    for parts in results["slices"].values():
        assert sum(part["rows"] for part in parts) == n_rows
        mean = sum(part["rows"] * part["systems"]["model"]["mrr"] for part in parts) / n_rows
        assert mean == pytest.approx(results["systems"]["model"]["mrr"]["value"])
    for example in json.loads((folder / "eval" / "examples.json").read_text()):
        assert sum(c["probability"] for c in example["candidates"]) == pytest.approx(1)
        assert example["target"] in [c["title"] for c in example["candidates"]]
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    watched = [line for line in lines if line["stage"] == "prefer" and "valid/loss" in line]
    assert [line["step"] for line in watched] == [0, 3, 6]
    assert all(0 <= line["valid/gradient_boundary"] <= 1 for line in watched)


def test_report_compare_and_recommend_work_on_it(original: tuple[Path, str], polo: Main, tmp_path: Path) -> None:
    folder, _ = original
    out = tmp_path / "r.html"
    assert polo("report", folder, "--out", out)[1].strip() == str(out)
    assert out.stat().st_size < 2_000_000
    code, table, _ = polo("compare", folder, "--with", "markov", "--json")
    assert (code, json.loads(table)["against"]) == (0, "markov")
    example = json.loads((folder / "eval" / "examples.json").read_text())[0]
    words = ("recommend", folder, "--json", "--top", 3, "--history")
    code, ranked, _ = polo(*words, "; ".join(example["history"]))
    assert code == 0
    found = json.loads(ranked)
    assert found["history"] == example["history"]
    assert len(found["ranked"]) == 3
    assert not {one["title"] for one in found["ranked"]} & set(example["history"])
    assert found["among"] == "all texts"
    assert all(one["proven"] for one in found["ranked"])
    assert polo(*words, " ; ")[0] == 2
    assert polo(*words, "no such artist at all")[0] == 2


def test_the_search_recommends_what_scoring_the_catalogue_does(
    original: tuple[Path, str], polo: Run, tmp_path: Path
) -> None:
    folder, _ = original
    example = json.loads((folder / "eval" / "examples.json").read_text())[0]
    history = "; ".join(example["history"])
    words = ("recommend", folder, "--json", "--history", history, "--top", 10)
    searched = json.loads(polo(*words)[1])
    everything = tmp_path / "titles.txt"
    titles = [one["title"] for one in json.loads(polo(*words, "--top", 999)[1])["ranked"]]
    assert len(titles) == 120 - len(example["history"])
    everything.write_text("\n".join(titles), encoding="utf-8")
    scored = json.loads(polo(*words, "--candidates", everything)[1])
    assert scored["among"] == "candidates"
    assert [one["title"] for one in searched["ranked"]] == [one["title"] for one in scored["ranked"]]
    shares = [a["probability"] / b["probability"] for a, b in zip(searched["ranked"], scored["ranked"], strict=True)]
    assert shares == pytest.approx([shares[0]] * 10, rel=1e-3)


def test_a_search_that_is_stopped_says_which_places_are_proven(original: tuple[Path, str], polo: Run) -> None:
    folder, _ = original
    example = json.loads((folder / "eval" / "examples.json").read_text())[0]
    words = ("recommend", folder, "--history", "; ".join(example["history"]), "--top", 5)
    whole = json.loads(polo(*words, "--json")[1])["ranked"]
    code, text, _ = polo(*words, "--nodes", 8, "--json")
    stopped = json.loads(text)["ranked"]
    assert code == 0
    assert not all(one["proven"] for one in stopped)
    assert [a for a in stopped if a["proven"]] == whole[: sum(one["proven"] for one in stopped)]
    code, _, said = polo(*words, "--nodes", 8, "--candidates", "titles.txt")
    assert (code, "--nodes" in said) == (2, True)
    code, _, said = polo(*words, "--nodes", 8, "--scorer", "search")
    assert (code, "every item is scored" in " ".join(said.split())) == (2, True), "it searches in evaluations alone"


def test_candidates_of_a_file_are_ranked_as_in_evaluation(
    original: tuple[Path, str], polo: Main, tmp_path: Path
) -> None:
    folder, _ = original
    example = json.loads((folder / "eval" / "examples.json").read_text())[0]
    listed = tmp_path / "titles.txt"
    listed.write_text("\n".join(c["title"] for c in example["candidates"]), encoding="utf-8")
    history = "; ".join(example["history"])
    _, ranked, _ = polo("recommend", folder, "--json", "--top", 99, "--history", history, "--candidates", listed)
    probabilities = {one["title"]: one["probability"] for one in json.loads(ranked)["ranked"]}
    expected = {c["title"]: c["probability"] for c in example["candidates"]}
    assert probabilities == pytest.approx(expected, rel=1e-3, abs=1e-6)
