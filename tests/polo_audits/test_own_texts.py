"""Audits of answers that belong to their rows: what is planted into clean pairs is found by the audit for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo import Finding, Limited, Splits
from polo.audit.verdicts import audited, check
from polo.recipe.model import Candidates
from polo.run.own import goes_with
from tests.pairs import splits_of
from tests.polo_audits.world import audits, clean

NAMES = ("duplicate_prompts", "contamination", "longer_chosen", "truncation")
WORDS = [f"w{i}" for i in range(200)]


def pairs(n: int = 200, longer: float = 0.5, seed: int = 0) -> list[dict[str, Any]]:
    """Random words in answers of two lengths; the chosen one is the longer with probability ``longer``."""
    rng = np.random.default_rng(seed)

    def said(words: int) -> str:
        return " " + " ".join(rng.choice(WORDS, words)) + "."

    rows = []
    for i in range(n):
        sizes = (30, 20) if rng.random() < longer else (20, 30)
        rows.append({"prompt": f"Question {i}: {said(20)}", "chosen": said(sizes[0]), "rejected": said(sizes[1])})
    return rows


def found(splits: Splits, limited: dict[str, Limited] | None = None) -> dict[str, Finding]:
    subject = audited(splits, Candidates(n=2, negatives="file"), limited=limited)
    return {one.name: one.finding for one in check(audits(NAMES), subject)}


def fired(findings: dict[str, Finding]) -> set[str]:
    return {name for name, one in findings.items() if one.verdict != "ok"}


@pytest.mark.parametrize("seed", [0, 1])
def test_clean_pairs_are_in_order(tmp_path: Path, seed: int) -> None:
    findings = found(splits_of(tmp_path, pairs(seed=seed)))
    assert not fired(findings), findings


def test_prompts_of_both_splits_are_found_but_for_case_and_spaces(tmp_path: Path) -> None:
    rows = pairs(60)
    again = [{**row, "prompt": row["prompt"].upper() + " "} for row in pairs(6)]
    splits = splits_of(tmp_path, [*rows, *again], held_out=0.0)
    train, test = splits.train[np.arange(60)], splits.train[np.arange(60, 66)]
    finding = found(replace(splits, train=train, test=test))["duplicate_prompts"]
    assert (finding.figure, finding.verdict) == (1.0, "fail")


def test_passages_of_training_rows_are_found_and_set_phrases_are_not(tmp_path: Path) -> None:
    rows = pairs()
    phrase = " ".join(f"say{i}" for i in range(30))
    for row in rows:
        row["prompt"] = f"{phrase} {row['prompt']}"
    assert not fired(found(splits_of(tmp_path, rows)))
    splits = splits_of(tmp_path, rows)
    assert splits.own is not None
    held = splits.own.prompts[int(splits.test.user[0])]
    rows.append({"prompt": "Say it again.", "chosen": f" You asked: {held}", "rejected": " No idea at all, sorry."})
    moved = splits_of(tmp_path, rows)
    assert moved.own is not None
    at = [p for p, said in enumerate(moved.own.prompts) if said == held]
    test = moved.train[np.flatnonzero(moved.train.user == at[0])] if at[0] in moved.train.user else moved.test
    train = moved.train[np.flatnonzero(moved.train.user != at[0])]
    finding = found(replace(moved, train=train, test=test))["contamination"]
    assert finding.verdict != "ok"
    assert finding.figure == pytest.approx(1 / len(test))


def test_length_that_gives_the_chosen_answer_away_is_found(tmp_path: Path) -> None:
    """Nine of ten chosen answers are the longer ones: the rule learnt in training is right nine times of ten."""
    findings = found(splits_of(tmp_path, pairs(400, longer=0.9), held_out=0.2))
    assert fired(findings) == {"longer_chosen"}
    assert findings["longer_chosen"].figure == pytest.approx(0.9, abs=0.07)
    shorter = found(splits_of(tmp_path, pairs(400, longer=0.1), held_out=0.2))
    assert "preferring the shorter answer" in shorter["longer_chosen"].meaning
    assert fired(shorter) == {"longer_chosen"}


def test_rows_that_a_policy_leaves_out_and_answers_without_an_end_are_found(tmp_path: Path) -> None:
    rows = pairs()
    splits = splits_of(tmp_path, rows)
    finding = found(splits, {"train": Limited(100, 3, 4)})["truncation"]
    assert (finding.figure, finding.verdict) == (0.07, "warn")
    assert "3 are too long and left out, and 4 lose the beginning" in finding.meaning
    for row in rows[::4]:
        row["rejected"] = row["rejected"].rstrip(".")
    finding = found(splits_of(tmp_path, rows))["truncation"]
    assert (finding.figure, finding.verdict) == (0.25, "warn")


def test_audits_go_with_their_kind_of_data_alone(tmp_path: Path) -> None:
    own = splits_of(tmp_path, pairs(20))
    every = audits((*NAMES, "popularity", "order", "leakage"))
    assert {name for name, one in every.items() if goes_with(one, own)} == set(NAMES)
    assert {name for name, one in every.items() if goes_with(one, clean(0))} == {"popularity", "order", "leakage"}
