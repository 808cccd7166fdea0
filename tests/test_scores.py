"""Draws and bundles of scores: how they are built, and in which precision they are looked at."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo import Draw, RowRandom, Scores
from polo.testing import small_splits


@given(st.integers(0, 1000), st.sampled_from([torch.float16, torch.bfloat16, torch.float32, torch.float64]))
def test_law_a_log_ratio_is_the_exact_difference_of_what_was_scored(seed: int, dtype: torch.dtype) -> None:
    """In half precision itself, the difference of two sums near -50 is off by up to 0.25 nats."""
    generator = torch.Generator().manual_seed(seed)
    policy, ref = (-50 * torch.rand(2, 3, generator=generator, dtype=torch.float64).to(dtype) for _ in range(2))
    scores = Scores.of(policy, ref=ref)
    assert scores.log_ratio.dtype == scores.wide.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    assert torch.equal(scores.wide.double(), policy.double())
    exact = policy.double() - ref.double()
    torch.testing.assert_close(scores.log_ratio.double(), exact, rtol=1e-6, atol=1e-6)
    assert torch.equal(Scores.of(policy).log_ratio, scores.wide)


def test_scores_that_are_given_items_keep_them_and_count_columns_where_none_are() -> None:
    policy = torch.zeros(2, 3)
    given_ = torch.tensor([[4, 2, 9], [7, 7, 0]])
    assert torch.equal(Scores.of(policy, items=given_).items, given_)
    assert Scores.of(policy).items.tolist() == [[0, 1, 2], [0, 1, 2]]


@pytest.mark.parametrize("with_q", [False, True])
def test_scores_of_a_draw_have_the_target_first_and_then_what_was_drawn(with_q: bool) -> None:
    rows = small_splits().train[:5]
    number = torch.from_numpy(RowRandom("drawn").bits(rows.id, 3).astype("int64"))
    draw = Draw(number % 7, number % 3 > 0, torch.full((5, 3), -1.5) if with_q else None)
    scores = Scores.of_draw(rows, draw, torch.randn(5, 4, generator=torch.Generator().manual_seed(0)))
    assert scores.items[:, 0].tolist() == rows.target.tolist()
    assert torch.equal(scores.items[:, 1:], draw.items)
    assert scores.valid[:, 0].all()
    assert torch.equal(scores.valid_rejected, draw.valid)
    assert (scores.users.tolist(), scores.rows.tolist()) == (rows.user.tolist(), rows.id.tolist())
    assert (scores.log_q is not None) == with_q
    assert torch.equal(scores.tokens, torch.ones(5, 4, dtype=torch.long))
