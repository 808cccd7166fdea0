"""The scorer ``calibrated`` in a recipe: what it is refused with, and what it is told by."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from polo.errors import RecipeError
from tests.run.refused import prepared
from tests.run.toy import Main


def test_a_policy_that_reads_the_user_alone_is_refused_before_anything_is_trained(tmp_path: Path) -> None:
    with pytest.raises(RecipeError) as refused:
        prepared(tmp_path, "small", "[], scorer: calibrated")
    (one,) = refused.value.problems
    assert one.what == "scorer 'calibrated' is for policies that read history; policy 'mf' does not"
    assert one.where.endswith("refused.yaml:12:54")


def test_evaluators_that_read_the_policys_own_scores_are_refused(polo: Main, toy: Path) -> None:
    text = toy.read_text()
    toy.write_text(
        text[: text.index("evaluate:")] + "evaluate: {scorer: calibrated, evaluators: [mrr, likelihood, reward]}\n"
    )
    code, _, said = polo("run", str(toy))
    assert code == 2
    assert (
        "evaluator 'likelihood' reads tokens out of the policy's own scores; scorer 'calibrated' gives others" in said
    )
    assert "evaluator 'reward' reads reference out of the policy's own scores" in said
    assert not (toy.parent / "runs").exists(), "nothing was begun"


@pytest.mark.parametrize("n", ["10", "all"])
def test_a_run_is_ranked_by_it_in_lists_and_in_the_whole_catalogue(polo: Main, toy: Path, n: str) -> None:
    words = (str(toy), "evaluate.scorer=calibrated", f"candidates.n={n}", "candidates.negatives=uniform")
    code, told, said = polo("run", *words)
    assert code == 0, said
    folder = told.strip().splitlines()[-1]
    results = measured(folder)
    assert results["scorer"]["use"] == "calibrated"
    assert "hit_ratio@1/mean" not in results["systems"]["model"], "a mean per token is nothing here"
    assert polo("eval", folder, "evaluate.scorer=policy")[0] == 0
    plain = measured(folder)
    assert plain["scorer"]["use"] == "policy"
    assert plain["protocol"]["hash"] == results["protocol"]["hash"], "the same rows and lists"
    assert plain["systems"]["popularity"] == results["systems"]["popularity"]
    assert plain["systems"]["model"] != results["systems"]["model"]


def measured(folder: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((Path(folder) / "results.json").read_text("utf-8"))
    return found
