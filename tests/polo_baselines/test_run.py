"""A finished run as a baseline: its scores come back for the same rows, in whatever order; all else is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import InputError, Rows
from polo.evaluate.metrics import System, write_scores
from polo_baselines.options import RunOptions
from polo_baselines.run import FinishedRun


def _rows(seed: int) -> tuple[Rows, np.ndarray]:
    rng = np.random.default_rng(seed)
    lists = np.array([rng.choice(30, 5, replace=False) for _ in range(8)])
    n = np.arange(8)
    return Rows(n + 100, n, np.zeros((8, 1), np.int64), lists[:, 0], lists), rng.random((8, 5))


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_law_scores_follow_their_rows_and_candidates(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    folder = tmp_path_factory.mktemp("run")
    (folder / "eval").mkdir()
    rows, scores = _rows(seed)
    write_scores(folder / "eval", rows, System("model", scores))
    rng = np.random.default_rng(seed)
    some, places = rng.permutation(8)[:5], rng.permutation(5)
    assert rows.candidates is not None
    moved = rows[some].with_candidates(rows.candidates[some][:, places])
    assert moved.candidates is not None
    found = FinishedRun(RunOptions(path=str(folder)), None).score(moved, moved.candidates)
    assert (found == scores[some][:, places]).all()


def test_other_rows_other_candidates_and_no_run_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no scores"):
        FinishedRun(RunOptions(path=str(tmp_path)), None)
    (tmp_path / "eval").mkdir()
    rows, scores = _rows(0)
    assert rows.candidates is not None
    write_scores(tmp_path / "eval", rows, System("model", scores))
    baseline = FinishedRun(RunOptions(path=str(tmp_path)), None)
    changed = rows.candidates.copy()
    changed[0, 1] = 29 if 29 not in changed[0] else 28
    with pytest.raises(InputError, match="candidates of row 100"):
        baseline.score(rows, changed)
    other = Rows(rows.id + 1, rows.user, rows.history, rows.target, rows.candidates)
    with pytest.raises(InputError, match="not evaluated on the rows"):
        baseline.score(other, rows.candidates)
    with pytest.raises(InputError, match="another length"):
        baseline.score(rows, rows.candidates[:, :4])
