"""Lists are scored whole, without a trace in the policy, and compared pair by pair."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo.data import Rows
from polo.model.scoring import CHUNK, completions, score_lists
from polo.protocols import Ranked
from tests.toy_policy import ToyPolicy, toy_rows


class Spelling(ToyPolicy):
    """Titles of one to three tokens, and completions that name their row."""

    def tokens(self, items: torch.Tensor) -> torch.Tensor:
        return items % 3 + 1

    def generate(self, rows: Rows) -> list[str]:
        assert len(rows) <= CHUNK
        return [f"row {i}" for i in rows.id]


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("n", "width"), [(1, 1), (CHUNK + 3, 4), (2 * CHUNK, 2)])
def test_law_scores_of_lists_are_those_of_the_policy_whatever_the_budget(n: int, width: int, training: bool) -> None:
    policy, rows = Spelling(dropout=0.5), toy_rows(n)
    candidates = np.random.default_rng(0).integers(0, 40, (n, width))
    policy.module.eval()
    with torch.no_grad():
        expected = policy.score(rows, torch.from_numpy(candidates)).numpy()
    policy.module.train(training)
    for budget in (1, 40, 10_000):
        scores, tokens = score_lists(policy, rows, candidates, budget)
        np.testing.assert_allclose(scores, expected, rtol=1e-12)
        assert (tokens == candidates % 3 + 1).all()
        assert policy.module.training is training
        assert all(p.grad is None for p in policy.module.parameters())


def test_progress_is_told_once_for_each_block_of_rows() -> None:
    told: list[tuple[int, str]] = []

    def track(blocks: range, label: str) -> range:
        told.append((len(blocks), label))
        return blocks

    policy, rows = Spelling(), toy_rows(CHUNK + 1)
    score_lists(policy, rows, rows.target[:, None], 100, track)
    assert completions(policy, rows, track) == [f"row {i}" for i in range(CHUNK + 1)]
    assert told == [(2, "scoring"), (2, "generating")]


@given(st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=1, max_size=5), st.data())
def test_law_accuracy_is_the_share_of_pairs_won_where_a_tie_is_half_a_win(
    scores: list[list[int]], data: st.DataObject
) -> None:
    truth = [data.draw(st.integers(0, 3)) for _ in scores]
    rows = replace(toy_rows(len(scores)), target=np.array(truth)).with_candidates(
        np.tile(np.arange(4), (len(scores), 1))
    )
    found = Ranked.of(rows, np.array(scores, dtype=np.float64)).accuracy()
    for row, own, value in zip(scores, truth, found, strict=True):
        won = [1.0 if row[own] > s else 0.5 if row[own] == s else 0.0 for j, s in enumerate(row) if j != own]
        assert value == pytest.approx(sum(won) / 3)
