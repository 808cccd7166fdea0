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
    assert polo(*words, " ; ")[0] == 2
    assert polo(*words, "no such artist at all")[0] == 2


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
