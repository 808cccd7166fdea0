"""Laws of DynamicPO's beta and of its boundary set."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import PoloError, RowRandom, Scores
from polo.testing import Case, context, small_splits
from polo.testing.strategies import score_cases
from polo_dynamicpo.dual_margin import DualMargin
from polo_dynamicpo.options import DualMarginOptions
from tests.contracts.components import UNIFORM, make

QUICK = settings(max_examples=25, deadline=None)
SPLITS = small_splits()


def dual(**options: Any) -> DualMargin:
    return DualMargin(DualMarginOptions(**options), context())


def boundary(**options: Any) -> Any:
    return make("sampler", "boundary", context(splits=SPLITS), from_=UNIFORM, **options)


def keep_of(scores: Scores, **options: Any) -> torch.Tensor:
    return boundary(**options).keep(scores, RowRandom(0), 0.0)


def one(d1: float, d2: float, g: float) -> float:
    """Beta of a boundary negative with given margins: target 0, negative -d1, the easy one d2 below it."""
    scores = Scores.of(torch.tensor([[0.0, -d1, -d1 - d2]], dtype=torch.float64))
    return float(dual(margin=g)(scores, torch.tensor([[True, False]]), 0.0)[0, 0])


@pytest.mark.parametrize(
    ("d1", "d2", "beta"), [(0.5, 3, 0.571), (3, 0.5, 1.071), (20, 0, 1.358), (1, 1, 0.619), (-1, 4, 0.557)]
)
def test_values_for_a_margin_of_two(d1: float, d2: float, beta: float) -> None:
    """1 + 0.5 tanh((d1 - d2 - 2) / (|d1| + |d2|)); the first: tanh(-4.5 / 3.5) = -0.858, beta = 0.571."""
    assert one(d1, d2, 2.0) == pytest.approx(beta, abs=5e-4)


@pytest.mark.parametrize(("g", "beta"), [(2.0, 0.5), (0.0, 1.0), (-2.0, 1.5)])
def test_both_margins_zero_gives_the_end_of_the_range_and_no_nan(g: float, beta: float) -> None:
    """q = -g / 1e-8: tanh is -1, 0 or 1."""
    assert one(0.0, 0.0, g) == pytest.approx(beta)


@given(
    score_cases(),
    st.sampled_from([0.25, 1.0, 3.0]),
    st.sampled_from([0.0, 0.5, 0.9]),
    st.sampled_from([-2.0, 0.0, 2.0, 6.0]),
)
@QUICK
def test_beta_stays_within_its_range(case: Case, base: float, scale: float, margin: float) -> None:
    beta = dual(base=base, scale=scale, margin=margin)(case.scores, case.keep, 0.0)[case.keep]
    assert (beta >= base * (1 - scale) - 1e-12).all()
    assert (beta <= base * (1 + scale) + 1e-12).all()


@given(st.floats(0, 30), st.floats(0, 30), st.floats(0.01, 10), st.floats(0, 8), st.floats(0.01, 5))
@QUICK
def test_beta_rises_with_the_margin_of_the_target_and_falls_with_g(
    d1: float, d2: float, more: float, g: float, step: float
) -> None:
    """For d1, d2 >= 0 and g >= 0: the derivative of q by d1 is (2 d2 + g) / (d1 + d2)^2 >= 0."""
    assert one(d1 + more, d2, g) >= one(d1, d2, g) - 1e-7
    assert one(d1, d2, g + step) <= one(d1, d2, g) + 1e-12


@given(score_cases(), st.integers(-64, 64))
@QUICK
def test_a_shift_of_a_rows_scores_changes_neither_boundary_nor_beta(case: Case, shift: int) -> None:
    moved = case.with_policy(case.scores.policy + shift / 8)
    keep = keep_of(case.scores)
    assert torch.equal(keep, keep_of(moved.scores))
    assert torch.allclose(dual()(case.scores, keep, 0.0), dual()(moved.scores, keep, 0.0), rtol=1e-9)


@given(score_cases(k=st.just(1), all_kept=True))
@QUICK
def test_one_negative_has_itself_as_the_easy_set(case: Case) -> None:
    """D = B, so d2 = 0 and beta = 1 + 0.5 tanh((d1 - g) / |d1|)."""
    d1 = case.scores.policy[:, :1] - case.scores.policy[:, 1:]
    expected = 1 + 0.5 * torch.tanh((d1 - 6.0) / (d1.abs() + 1e-8))
    assert torch.allclose(dual()(case.scores, case.keep, 0.0), expected, rtol=1e-9)


@given(score_cases(all_kept=True))
@QUICK
def test_when_all_are_boundary_the_easy_mean_is_their_own(case: Case) -> None:
    x = case.scores.policy
    d1, d2 = x[:, :1] - x[:, 1:], x[:, 1:] - x[:, 1:].mean(-1, keepdim=True)
    expected = 1 + 0.5 * torch.tanh((d1 - d2 - 6.0) / (d1.abs() + d2.abs() + 1e-8))
    assert torch.allclose(dual()(case.scores, case.keep, 0.0), expected, rtol=1e-9)


def test_statistics_measure_what_they_say() -> None:
    """mean_logprob of doubled sums over doubled tokens, and log_ratio to a zero reference, are logprob."""
    policy = torch.tensor([[-1.0, -4.0, -9.0]], dtype=torch.float64)
    keep = torch.tensor([[True, False]])
    plain = dual()(Scores.of(policy), keep, 0.0)
    twice = Scores.of(2 * policy, tokens=torch.full((1, 3), 2))
    assert torch.equal(dual(statistic="mean_logprob")(twice, keep, 0.0), plain)
    assert torch.equal(dual(statistic="log_ratio")(Scores.of(policy, ref=torch.zeros(1, 3)), keep, 0.0), plain)
    assert dual(statistic="log_ratio").needs == {"reference"}
    assert dual(statistic="mean_logprob").needs == {"tokens"}


@given(score_cases())
@QUICK
def test_violating_negatives_are_kept_whole_and_alone_else_an_upper_set(case: Case) -> None:
    s, keep = case.scores, keep_of(case.scores)
    for i in range(len(keep)):
        valid = s.valid_rejected[i]
        violating = valid & (s.rejected[i] >= s.chosen[i])
        if violating.any():
            assert torch.equal(keep[i], violating)
        elif valid.any():
            assert keep[i].any()
            left = s.rejected[i][valid & ~keep[i]]
            assert not len(left) or s.rejected[i][keep[i]].min() > left.max()


@given(score_cases(), st.integers(1, 4))
@QUICK
def test_top_k_takes_the_place_of_the_cluster(case: Case, n: int) -> None:
    s, keep = case.scores, keep_of(case.scores, top_k=n)
    violating = s.valid_rejected & (s.rejected >= s.chosen[:, None])
    calm = ~violating.any(-1)
    assert torch.equal(keep[~calm], violating[~calm])
    assert torch.equal(keep[calm].sum(-1), s.valid_rejected[calm].sum(-1).clamp(max=n))


def test_mean_statistic_divides_by_tokens() -> None:
    """Sums -6, -8, -2, -20 over 2, 4, 1, 4 tokens: means -3, -2, -2, -5. By sum only the third violates, by mean also
    the second."""
    scores = Scores.of(torch.tensor([[-6.0, -8.0, -2.0, -20.0]]), tokens=torch.tensor([[2, 4, 1, 4]]))
    assert keep_of(scores).tolist() == [[False, True, False]]
    assert keep_of(scores, statistic="mean").tolist() == [[True, True, False]]
    assert boundary(statistic="mean").needs == {"tokens"}


@given(score_cases())
@QUICK
def test_easy_negatives_act_through_beta_alone(case: Case) -> None:
    """Moving an easy negative down without changing the boundary leaves the loss as it is under a fixed beta."""
    head = make("loss", "dmpo", context())
    keep = keep_of(case.scores)
    policy = case.scores.policy.clone()
    policy[:, 1:] = torch.where(keep, policy[:, 1:], policy[:, 1:] - 0.5)
    lower = replace(case.scores, policy=policy)
    beta = torch.ones_like(case.beta)
    assert torch.equal(head(case.scores, keep, beta), head(lower, keep, beta))


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("column", [0, 2])
def test_scores_that_are_not_finite_are_refused_by_row(bad: float, column: int) -> None:
    policy = torch.zeros(3, 4)
    policy[1, column] = bad
    with pytest.raises(PoloError, match="row 1 are not finite"):
        keep_of(Scores.of(policy))


def test_a_value_that_is_not_finite_in_an_invalid_place_is_no_matter() -> None:
    policy = torch.tensor([[-1.0, -3.0, float("nan")]])
    valid = torch.tensor([[True, True, False]])
    assert keep_of(Scores.of(policy, valid=valid)).tolist() == [[True, False]]
