"""An evaluation that was killed scores only what is missing, and believes no part that is not its own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator

from polo.console import Console
from polo.data import Ragged, Rows, Whole
from polo.errors import PoloError
from polo.evaluate import resume
from polo.evaluate.resume import Parts
from polo.model.scoring import score_every, score_lists
from tests.toy_policy import ToyPolicy, toy_rows

ROWS = toy_rows(50, candidates=8)


class Killed(Exception):
    pass


class Scorer:
    """Scores 16 rows at a time with the policy; is killed at its ``dies``-th call."""

    part_rows = 16

    def __init__(self, dies: int = 99) -> None:
        self.scored: list[int] = []
        self._dies = dies

    def score(self, policy: Any, rows: Rows, candidates: Any) -> tuple[Any, Any]:
        self._dies -= 1
        if not self._dies:
            raise Killed
        self.scored += rows.id.tolist()
        return score_lists(policy, rows, candidates, 10_000)


class Listening(Console):
    def __init__(self) -> None:
        super().__init__(silent=True)
        self.said: list[str] = []

    def say(self, line: str, style: str = "") -> None:
        self.said.append(line)


def parts(folder: Path, scorer: Any, console: Console | None = None, **facts: Any) -> Parts:
    return Parts(folder / "parts", scorer, facts, Accelerator(cpu=True), console or Console(silent=True))


def killed(folder: Path) -> None:
    """Two of four parts are scored."""
    with pytest.raises(Killed):
        parts(folder, Scorer(dies=3)).scores("model", ToyPolicy(), ROWS)


def test_scores_in_parts_are_the_scores(tmp_path: Path) -> None:
    policy = ToyPolicy()
    scores, tokens = parts(tmp_path, Scorer()).scores("model", policy, ROWS)
    expected = policy.score(ROWS, torch.from_numpy(ROWS.candidates)).detach().numpy()
    assert np.allclose(scores, expected, atol=1e-12, rtol=0)
    assert tokens.shape == scores.shape
    assert (tokens == 1).all()


def test_going_on_scores_the_missing_rows_only_and_gets_the_same_bits(tmp_path: Path) -> None:
    killed(tmp_path)
    again = Scorer()
    scores, tokens = parts(tmp_path, again).scores("model", ToyPolicy(), ROWS)
    assert again.scored == list(range(32, 50))
    whole, expected_tokens = parts(tmp_path / "whole", Scorer()).scores("model", ToyPolicy(), ROWS)
    assert (scores == whole).all()
    assert (tokens == expected_tokens).all()
    assert scores.dtype == whole.dtype == np.float64
    third = Scorer()
    parts(tmp_path, third).scores("model", ToyPolicy(), ROWS)
    assert third.scored == []


def test_a_scorer_without_parts_is_called_once(tmp_path: Path) -> None:
    class Whole:
        calls = 0

        def score(self, policy: Any, rows: Rows, candidates: Any) -> tuple[Any, Any]:
            self.calls += 1
            return score_lists(policy, rows, candidates, 10_000)

    scorer = Whole()
    parts(tmp_path, scorer).scores("model", ToyPolicy(), ROWS)
    assert scorer.calls == 1


def other_weights() -> ToyPolicy:
    policy = ToyPolicy()
    with torch.no_grad():
        next(policy.module.parameters()).add_(1e-6)
    return policy


@pytest.mark.parametrize(
    ("policy", "rows", "facts"),
    [
        (other_weights(), ROWS, {}),
        (ToyPolicy(), toy_rows(50, seed=1, candidates=8), {}),
        (ToyPolicy(), ROWS, {"tokens_per_pass": 7}),
    ],
    ids=["weights", "rows", "options of the scorer"],
)
def test_parts_of_another_evaluation_are_named_and_scored_again(
    tmp_path: Path, policy: ToyPolicy, rows: Rows, facts: dict[str, Any]
) -> None:
    killed(tmp_path)
    scorer, console = Scorer(), Listening()
    parts(tmp_path, scorer, console, **facts).scores("model", policy, rows)
    assert scorer.scored == rows.id.tolist()
    assert len(console.said) == 2
    assert all("is of another evaluation" in line for line in console.said)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.9, 0.999])
@pytest.mark.parametrize("how", ["cut", "flipped"])
def test_law_a_damaged_part_never_changes_a_score(tmp_path: Path, how: str, share: float) -> None:
    killed(tmp_path)
    part = tmp_path / "parts" / "model-scores-0.parquet"
    raw = bytearray(part.read_bytes())
    at = int(share * len(raw))
    if how == "cut":
        raw = raw[:at]
    else:
        raw[at] ^= 4
    part.write_bytes(bytes(raw))
    scorer, console = Scorer(), Listening()
    scores, tokens = parts(tmp_path, scorer, console).scores("model", ToyPolicy(), ROWS)
    whole, expected_tokens = parts(tmp_path / "whole", Scorer()).scores("model", ToyPolicy(), ROWS)
    assert (scores == whole).all()
    assert (tokens == expected_tokens).all()
    if how == "cut":
        assert scorer.scored[:16] == list(range(16))
        assert str(part) in console.said[0]


class Writing(ToyPolicy):
    """Completes a row with its own number; is killed at its second part."""

    def __init__(self, dies: int = 99) -> None:
        super().__init__()
        self.calls, self._dies = 0, dies

    def generate(self, rows: Rows) -> list[str]:
        self.calls += 1
        if self.calls == self._dies:
            raise Killed
        return [f"row {i}" for i in rows.id]


def test_completions_go_on_where_they_were_killed(tmp_path: Path) -> None:
    rows = toy_rows(300, candidates=8)
    with pytest.raises(Killed):
        parts(tmp_path, Scorer()).completions("model", Writing(dies=3), rows)
    again = Writing()
    texts = parts(tmp_path, Scorer()).completions("model", again, rows)
    assert texts == [f"row {i}" for i in range(300)]
    assert again.calls == 1


class WritingScorer(Scorer):
    """Completes rows itself, all at once."""

    def generate(self, policy: Any, rows: Rows) -> list[str]:
        return [f"scorer's {i}" for i in rows.id]


def test_a_scorer_that_writes_completions_does_so_in_the_policys_place(tmp_path: Path) -> None:
    policy = Writing()
    texts = parts(tmp_path, WritingScorer()).completions("model", policy, ROWS)
    assert texts == [f"scorer's {i}" for i in ROWS.id]
    assert policy.calls == 0


def test_parts_are_gone_in_the_end(tmp_path: Path) -> None:
    one = parts(tmp_path, Scorer())
    one.scores("model", ToyPolicy(), ROWS)
    assert list((tmp_path / "parts").iterdir())
    one.remove()
    assert not (tmp_path / "parts").exists()


class AllAtOnce(Scorer):
    """Ranks the whole catalogue; is killed at its ``dies``-th block."""

    def every(self, policy: Any) -> Any:
        inner = score_every(policy, 10_000)

        def score(rows: Rows) -> Any:
            self._dies -= 1
            if not self._dies:
                raise Killed
            self.scored += rows.id.tolist()
            return inner(rows)

        return score


def test_a_ranking_of_the_whole_catalogue_goes_on_where_it_was_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resume, "WHOLE", 16)
    nothing = Ragged(np.empty(0, np.int64), np.zeros(51, np.int64))
    rows = replace(toy_rows(50), whole=Whole(40, nothing))
    with pytest.raises(Killed):
        parts(tmp_path, AllAtOnce(dies=3)).kept("model", ToyPolicy(), rows, ())
    again = AllAtOnce()
    table = parts(tmp_path, again).kept("model", ToyPolicy(), rows, ())
    assert again.scored == list(range(32, 50))
    assert table.equals(parts(tmp_path / "whole", AllAtOnce()).kept("model", ToyPolicy(), rows, ()))
    # other items left out: another evaluation
    other = replace(rows, whole=Whole(40, Ragged.of([[(int(t) + 1) % 40] for t in rows.target])))
    third = AllAtOnce()
    parts(tmp_path, third).kept("model", ToyPolicy(), other, ())
    assert len(third.scored) == 50


def test_a_scorer_of_lists_ranks_no_whole_catalogue(tmp_path: Path) -> None:
    with pytest.raises(PoloError, match="Scorer does not rank the whole catalogue"):
        parts(tmp_path, Scorer()).kept("model", ToyPolicy(), ROWS, ())
