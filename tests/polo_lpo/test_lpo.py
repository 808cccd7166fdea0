"""The linear preference losses: values, constant gradients, their turn at the target, and presets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import PoloError, RowRandom, Scores
from polo.testing import Case, context, small_splits
from polo.testing.losses import gradient
from polo.testing.strategies import score_cases
from polo_lpo.options import LpoArgparseOptions, LpoOptions
from tests.contracts.components import choice, head, make, value

QUICK = settings(max_examples=30, deadline=None)
R = st.sampled_from([0.1, 0.25, 1.0, 2.0])


def pair(chosen: float, *rejected: float, beta: float = 0.2, tokens: list[int] | None = None) -> Case:
    """One row with given log-ratios."""
    policy = torch.tensor([[chosen, *rejected]], dtype=torch.float64)
    k = len(rejected)
    scores = Scores.of(policy, ref=torch.zeros_like(policy), tokens=None if tokens is None else torch.tensor([tokens]))
    return Case(scores, torch.ones(1, k, dtype=torch.bool), torch.full((1, k), beta, dtype=torch.float64))


def slopes(name: str, case: Case, **options: Any) -> list[float]:
    return gradient(head(name, **options), case)[1][0].tolist()


def test_value_by_hand() -> None:
    """x_w = 1, x_l = -0.5, beta 0.2, off 2.5: 4 * 0.2 * |1.5 - 2.5| = 0.8; x_w = -0.1 adds lambda 10 * 0.1 = 1."""
    assert float(value("lpo", pair(1.0, -0.5))) == pytest.approx(0.8)
    assert float(value("lpo", pair(-0.1, -1.6))) == pytest.approx(1.8)
    assert float(value("lpo_plain", pair(-0.1, -1.6), regulariser=0.0)) == pytest.approx(0.8)


def test_log_ratios_are_per_token_unless_summed() -> None:
    """x_w = 2 / 2, x_l = -2 / 4: margin 1.5 as above; summed: margin 4, 0.8 * 1.5 = 1.2."""
    case = pair(2.0, -2.0, tokens=[2, 4])
    assert float(value("lpo", case)) == pytest.approx(0.8)
    assert float(value("lpo", case, length="sum")) == pytest.approx(1.2)


def test_speeds_inside_the_distance() -> None:
    """lpo_r: |1 * 1 - 0.2 * (-0.5) - 2.5| = 1.4; times 4 * 0.2 = 1.12."""
    assert float(value("lpo_r", pair(1.0, -0.5))) == pytest.approx(1.12)


def test_gradients_by_hand() -> None:
    """Below the target: chosen -4 beta r1/(r1+r2) = -0.8 / 1.2, rejected +0.8 * 0.2 / 1.2; above it the signs turn;
    a chosen log-ratio below 0 adds -lambda."""
    up, down = 0.8 / 1.2, 0.16 / 1.2
    assert slopes("lpo", pair(1.0, -0.5)) == pytest.approx([-up, down])
    assert slopes("lpo", pair(1.0, -5.0)) == pytest.approx([up, -down])
    assert slopes("lpo", pair(-1.0, -1.5)) == pytest.approx([-up - 10.0, down])


@given(score_cases(), R, R, st.sampled_from(["pairs", "inside"]))
@QUICK
def test_separate_speeds_change_gradients_not_values(case: Case, r1: float, r2: float, negatives: str) -> None:
    mine = value("lpo", case, r1=r1, r2=r2, negatives=negatives)
    assert torch.allclose(mine, value("lpo_plain", case, negatives=negatives), rtol=1e-9, atol=1e-9)
    assert torch.allclose(mine, value("lpo_dynamic", case, negatives=negatives), rtol=1e-9, atol=1e-9)


@given(score_cases(k=st.just(1), all_kept=True), R, R)
@QUICK
def test_gradient_ratio_is_r1_to_r2_whatever_the_margin(case: Case, r1: float, r2: float) -> None:
    """|dL/dx_w| / |dL/dx_l| = r1 / r2, as sums over titles; off the target."""
    _, slope = gradient(head("lpo", r1=r1, r2=r2, length="sum", regulariser=0.0), case)
    margin = case.scores.log_ratio[:, 0] - case.scores.log_ratio[:, 1]
    off_target = (margin - 0.5 / case.beta[:, 0]).abs() > 1e-9
    assert torch.allclose(slope[off_target, 0].abs() * r2, slope[off_target, 1].abs() * r1, rtol=1e-9)
    assert torch.allclose(slope[off_target, 0].abs(), (4 * case.beta[:, 0] * r1 / (r1 + r2))[off_target], rtol=1e-9)


@given(st.integers(-80, 80), R, R)
@QUICK
def test_the_sign_turns_exactly_at_the_target(step: int, r1: float, r2: float) -> None:
    """beta 0.25, target 2; margins on a grid of 1/16 around it, exact in floating point."""
    chosen, rejected = slopes("lpo", pair(2.0 + step / 16, 0.0, beta=0.25), r1=r1, r2=r2, regulariser=0.0)
    sign = (step > 0) - (step < 0)
    assert (chosen > 0) - (chosen < 0) == sign
    assert (rejected > 0) - (rejected < 0) == -sign


@given(st.integers(-40, 40))
@QUICK
def test_zero_exactly_at_the_target_with_the_chosen_title_no_less_likely(at: int) -> None:
    """Margin 2 = 1 / (2 * 0.25): zero loss if and only if the chosen log-ratio is at least 0."""
    loss = float(value("lpo", pair(at / 8, at / 8 - 2.0, beta=0.25)))
    assert (loss == 0) == (at >= 0)


@given(score_cases(), st.integers(-64, 64), R, R)
@QUICK
def test_a_shift_changes_nothing_without_the_regulariser(case: Case, shift: int, r1: float, r2: float) -> None:
    moved = case.with_policy(case.scores.policy + shift / 8)
    options = {"r1": r1, "r2": r2, "regulariser": 0.0, "length": "sum"}
    assert torch.allclose(value("lpo", case, **options), value("lpo", moved, **options), rtol=1e-9, atol=1e-9)


@given(score_cases(), R, R, st.sampled_from([0.5, 2.0, 4.0]))
@QUICK
def test_only_the_ratio_of_the_speeds_matters(case: Case, r1: float, r2: float, scale: float) -> None:
    a, b = (gradient(head("lpo", r1=r1 * s, r2=r2 * s), case) for s in (1.0, scale))
    assert torch.allclose(a[0], b[0], rtol=1e-12)
    assert torch.allclose(a[1], b[1], rtol=1e-12)


@given(score_cases())
@QUICK
def test_equal_speeds_are_half_of_the_plain_gradient_and_no_speed_leaves_the_rejected_alone(case: Case) -> None:
    options = {"regulariser": 0.0}
    plain = gradient(head("lpo_plain", **options), case)[1]
    assert torch.allclose(gradient(head("lpo", r1=1.0, r2=1.0, **options), case)[1], plain / 2, rtol=1e-9)
    assert (gradient(head("lpo", r2=0.0), case)[1][:, 1:] == 0).all()


@given(score_cases())
@QUICK
def test_dynamic_speeds_at_equal_log_ratios_are_equal(case: Case) -> None:
    flat = replace(case, scores=replace(case.scores, policy=case.scores.ref.clone()))
    a, b = (gradient(head(n, **o), flat) for n, o in (("lpo_dynamic", {}), ("lpo", {"r1": 1.0, "r2": 1.0})))
    assert torch.allclose(a[1], b[1], rtol=1e-12)


def test_dynamic_speed_of_the_rejected_is_the_quotient_of_likelihoods() -> None:
    """x_w = 0, x_l = log 3: r2 = 3; 4 beta r1/(1+3) = 0.2 and 4 beta r2/(1+3) = 0.6."""
    three = float(torch.log(torch.tensor(3.0, dtype=torch.float64)))
    assert slopes("lpo_dynamic", pair(0.0, three), regulariser=0.0) == pytest.approx([-0.2, 0.6])


@given(score_cases(k=st.just(1), all_kept=True))
@QUICK
def test_one_negative_is_the_same_inside_the_distance_or_as_a_pair(case: Case) -> None:
    for name in ("lpo", "lpo_plain", "lpo_r", "lpo_dynamic"):
        assert torch.allclose(value(name, case), value(name, case, negatives="inside"), rtol=1e-12)


@given(score_cases(one_beta=True))
@QUICK
def test_jensen_the_mean_of_pairs_is_at_least_the_distance_of_the_mean(case: Case) -> None:
    assert (value("lpo", case) >= value("lpo", case, negatives="inside") - 1e-9).all()


@pytest.mark.parametrize(("slope_at_zero", "at_zero"), [("half", -3.5), ("none", 0.0)])
@given(score_cases())
@QUICK
def test_law_the_regulariser_acts_where_the_chosen_log_ratio_is_negative(
    slope_at_zero: str, at_zero: float, case: Case
) -> None:
    """Slope -7 below 0, none above; at 0 half of it as in the released code, or none."""
    options = {"slope_at_zero": slope_at_zero, "length": "sum"}
    with_, without = (gradient(head("lpo", regulariser=r, **options), case)[1][:, 0] for r in (7.0, 0.0))
    ratio = case.scores.log_ratio[:, 0].double()
    expected = torch.where(ratio < 0, -7.0, 0.0).double() + torch.where(ratio == 0, at_zero, 0.0).double()
    kept = case.keep.any(-1)
    assert torch.allclose(with_ - without, torch.where(kept, expected, 0.0), atol=1e-9)


def test_presets() -> None:
    """The released run scripts, and the defaults of the released argument parser (which switch the regulariser off)."""
    scripts, parser = LpoOptions(), LpoArgparseOptions()
    assert (scripts.r1, scripts.r2, scripts.regulariser, scripts.length) == (1.0, 0.2, 10.0, "mean")
    assert (parser.r1, parser.r2, parser.regulariser, parser.length) == (1.0, 0.8, 0.0, "sum")
    case = pair(-1.0, 0.5, tokens=[2, 3])
    assert torch.equal(value("lpo_argparse", case), value("lpo", case, r2=0.8, regulariser=0.0, length="sum"))


def test_gradcheck_away_from_the_kinks() -> None:
    from polo.testing.cases import case as make_case

    one = make_case(3, 3, seed=4)
    policy = one.scores.policy.clone().requires_grad_()
    for name in ("lpo_plain", "lpo_r"):
        loss = head(name)
        assert torch.autograd.gradcheck(
            lambda p, loss=loss: loss(replace(one.scores, policy=p), one.keep, one.beta), (policy,), atol=1e-6
        )


def test_pairs_that_the_reference_separates_are_left_out() -> None:
    """Margins per token of 1, 2 and 3 (sums over 2 tokens: 2, 4, 6) and one rejected answer ahead of the chosen one."""
    splits = small_splits(lists=5)
    ref = torch.tensor([[-2.0, -4.0, -6.0, -8.0, -1.0]])
    scores = Scores.of(torch.zeros(1, 5), ref=ref, tokens=torch.full((1, 5), 2))
    for options, kept in (
        ({}, [True, True, False, True]),
        ({"most": 3.0, "length": "sum"}, [True, False, False, True]),
    ):
        sampler = make(
            "sampler", "reference_margin", context(splits=splits), from_=choice("sampler", "given"), **options
        )
        assert sampler.keep(scores, RowRandom(0), 0.0)[0].tolist() == kept
        assert "reference" in sampler.needs
    nothing = Scores.of(torch.zeros(1, 5))
    with pytest.raises(PoloError, match="reference"):
        sampler.keep(nothing, RowRandom(0), 0.0)
