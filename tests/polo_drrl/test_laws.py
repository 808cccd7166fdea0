"""Laws of the recommender losses, for any scores: limits, reductions to one another, invariances, signs."""

from __future__ import annotations

from dataclasses import replace
from math import exp
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize_scalar
from torch import Tensor

from polo.testing import Case
from polo.testing.losses import gradient
from polo.testing.strategies import score_cases
from polo_drrl.options import DrrlOptions
from polo_drrl.renyi import Renyi
from tests.contracts.components import head, value

QUICK = settings(max_examples=30, deadline=None)
PLAIN = score_cases(one_beta=True)
ANY = score_cases()
POWERS = st.sampled_from([1.0, 1.0067, 1.5, 2.0, 5.0, 60.0])
RADII = st.sampled_from([1.1, 1.5, 2.0, 4.0])
SCORES = st.lists(st.integers(-64, 64).map(lambda i: i / 32), min_size=1, max_size=9)


def close(a: Tensor, b: Tensor, tolerance: float = 1e-10) -> bool:
    return torch.allclose(a, b, rtol=tolerance, atol=tolerance)


def line(values: list[float]) -> tuple[Tensor, Tensor]:
    s = torch.tensor([values], dtype=torch.float64)
    return s, torch.ones_like(s, dtype=torch.bool)


def bound(values: list[float], b: float, p: float, c: float, eps: float = 0.0) -> float:
    s, every = line(values)
    return float(Renyi(p, c, eps).bound(s, torch.tensor([b], dtype=torch.float64), every).value)


def best(values: list[float], p: float, c: float, eps: float = 0.0) -> tuple[float, Tensor]:
    found = Renyi(p, c, eps).best(*line(values))
    return float(found.value), found.weights[0]


def doubled(case: Case) -> Case:
    """Every negative twice."""
    s = case.scores
    twice = {n: torch.cat([v, v[:, 1:]], -1) for n in ("items", "policy", "ref", "tokens", "valid")
             if (v := getattr(s, n)) is not None}  # fmt: skip
    return Case(replace(s, **twice), torch.cat([case.keep, case.keep], -1), torch.cat([case.beta, case.beta], -1))


# -- how the heads are related ---------------------------------------------------------------------------------------


@QUICK
@given(ANY)
def test_law_softmax_of_log_ratios_with_the_positive_is_sdpo_and_bpr_is_dpo(case: Case) -> None:
    assert close(value("softmax", case, reward="log_ratio"), value("sdpo", case))
    assert close(value("bpr", case, reward="log_ratio"), value("dpo", case))


@QUICK
@given(PLAIN)
def test_law_bsl_at_one_temperature_is_the_softmax_without_the_positive_less_log_n(case: Case) -> None:
    expected = value("softmax", case, positive=False) - case.keep.sum(-1).double().log()
    assert close(value("bsl", case, positives="row"), expected)
    assert close(value("bsl", case), expected)  # every row has a user of its own here


@QUICK
@given(ANY)
def test_law_the_positive_only_adds_to_the_softmax(case: Case) -> None:
    """log(1 + S) is above both log S and 0, and at most log 2 above the larger."""
    with_it, without = value("softmax", case), value("softmax", case, positive=False)
    larger = without.clamp(min=0)
    assert bool(((with_it >= larger - 1e-12) & (with_it <= larger + 0.693148)).all())


@QUICK
@given(ANY)
def test_law_psl_is_at_most_the_softmax_and_never_below_the_count_of_wrong_orders(case: Case) -> None:
    """1(d >= 0) <= exp a(d) <= e^d for d in [-1, 1], the paper's range."""
    gaps = (case.scores.policy[:, 1:] - case.scores.policy[:, :1]) * case.beta
    inside = replace(case, beta=case.beta / gaps.abs().max().clamp(min=1))
    for activation in ("tanh", "relu", "atan"):
        surrogate = value("psl", inside, activation=activation)
        wrong = (((inside.scores.policy[:, 1:] >= inside.scores.policy[:, :1]) & inside.keep).sum(-1)).double()
        assert bool((surrogate.exp() >= wrong - 1e-9).all())
        assert bool((surrogate <= value("softmax", inside, positive=False) + 1e-5).all())


@QUICK
@given(PLAIN, st.sampled_from([0.0, 0.25, -0.5]), RADII)
def test_law_order_infinity_at_the_margin_is_ccl_plus_eps_plus_the_margin(case: Case, m: float, c: float) -> None:
    """Thresholds that do not move: rate 1e-30."""
    ours = value("drrl", case, gamma=0.0, c=c, eps=0.1, threshold=m, threshold_lr=1e-30)
    assert close(ours, value("ccl", case, margin=m, weight=c) + 0.1 + m)


# -- the bound -------------------------------------------------------------------------------------------------------


@QUICK
@given(SCORES, st.sampled_from([0.0, 0.5, -1.0]), POWERS, RADII, st.sampled_from([-2.0, 0.75]))
def test_law_the_bound_moves_with_scores_and_threshold_and_ignores_order_and_copies(
    s: list[float], b: float, p: float, c: float, a: float
) -> None:
    here = bound(s, b, p, c)
    assert bound([x + a for x in s], b + a, p, c) == pytest.approx(here + a, abs=1e-9)
    assert bound([2 * x for x in s], 2 * b, p, c) == pytest.approx(2 * here, abs=1e-9)  # eps = 0: homogeneous
    assert bound(s[::-1], b, p, c, 0.1) == pytest.approx(bound(s, b, p, c, 0.1), rel=1e-12)
    assert bound(s + s, b, p, c, 0.1) == pytest.approx(bound(s, b, p, c, 0.1), rel=1e-12)


@QUICK
@given(SCORES, st.floats(-3, 3), st.floats(-3, 3), POWERS, RADII, st.sampled_from([0.0, 0.1]))
def test_law_the_bound_is_convex_in_the_threshold(
    s: list[float], b1: float, b2: float, p: float, c: float, eps: float
) -> None:
    middle = bound(s, (b1 + b2) / 2, p, c, eps)
    assert middle <= (bound(s, b1, p, c, eps) + bound(s, b2, p, c, eps)) / 2 + 1e-9


@QUICK
@given(SCORES, st.floats(-3, 3), POWERS, RADII, st.sampled_from([0.1, 0.5]))
def test_law_weights_and_slope_are_the_derivatives(s: list[float], b: float, p: float, c: float, eps: float) -> None:
    """Autograd of the formula as it stands, away from its kinks."""
    if min(abs(x - b) for x in s) < 1e-3:
        return
    scores, every = line(s)
    scores.requires_grad_()
    threshold = torch.tensor([b], dtype=torch.float64, requires_grad=True)
    x = eps + c * torch.relu(scores - threshold[:, None])
    direct = (x**p).mean(-1) ** (1 / p) + threshold
    by_scores, by_threshold = torch.autograd.grad(direct.sum(), (scores, threshold))
    found = Renyi(p, c, eps).bound(scores, threshold, every)
    assert close(found.value, direct.detach(), 1e-9)
    assert close(found.weights, by_scores, 1e-8)
    assert close(found.slope, by_threshold, 1e-8)


@QUICK
@given(SCORES, POWERS, RADII, st.sampled_from([0.0, 0.1]))
def test_law_bisection_finds_the_minimum_that_scipy_finds(s: list[float], p: float, c: float, eps: float) -> None:
    found, _ = best(s, p, c, eps)
    judge = minimize_scalar(
        lambda b: bound(s, float(b), p, c, eps),
        bounds=(min(s) - 4000, max(s) + 0.01),
        method="bounded",
        options={"xatol": 1e-10},
    )
    assert found == pytest.approx(float(judge.fun), abs=1e-6)
    assert found <= float(judge.fun) + 1e-9


@QUICK
@given(SCORES, POWERS, RADII)
def test_law_the_worst_distribution_has_weights_that_sum_to_one_and_gives_the_value(
    s: list[float], p: float, c: float
) -> None:
    """eps = 0: L = sup_Q E_Q s, reached by the weights; so their mean of the scores is the value."""
    found, weights = best(s, p, c)
    assert bool((weights >= 0).all())
    assert float(weights.sum()) == pytest.approx(1, abs=1e-6)
    assert float((weights * line(s)[0][0]).sum()) == pytest.approx(found, abs=1e-5)


@QUICK
@given(SCORES, POWERS, RADII)
def test_law_the_worst_mean_lies_between_mean_and_maximum(s: list[float], p: float, c: float) -> None:
    found, _ = best(s, p, c)
    assert sum(s) / len(s) - 1e-9 <= found <= max(s) + 1e-9


@QUICK
@given(SCORES, st.sampled_from([(1.0, 1.5), (1.5, 2.0), (2.0, 5.0), (5.0, 60.0)]), st.sampled_from([0.1, 0.6, 1.5]))
def test_law_a_higher_order_is_milder_at_the_same_radius_and_a_larger_radius_harsher(
    s: list[float], powers: tuple[float, float], eta: float
) -> None:
    """p falls as omega rises; c = exp(eta / p)."""
    high, low = powers  # orders
    assert best(s, high, exp(eta / high))[0] <= best(s, low, exp(eta / low))[0] + 1e-7
    assert best(s, low, exp(eta / low))[0] <= best(s, low, exp(2 * eta / low))[0] + 1e-7


@QUICK
@given(SCORES, st.sampled_from([0.5, 1.0, 2.0]), st.sampled_from([0.1, 0.5]))
def test_law_order_towards_one_is_the_softmax(s: list[float], tau: float, eta: float) -> None:
    """b = -tau p, c = e^(eta / p), p = 1e6: tau log mean e^(s / tau) + tau eta, to the order of 1 / p."""
    p = 1e6
    expected = tau * float(torch.logsumexp(line(s)[0] / tau, -1)) - tau * float(torch.tensor(len(s)).log()) + tau * eta
    assert bound(s, -tau * p, p, exp(eta / p)) == pytest.approx(expected, abs=2e-4)


def test_law_order_infinity_is_the_mean_of_the_upper_share() -> None:
    """p = 1, c = 4, eight scores: the mean of the two largest."""
    s = [0.1, -0.3, 0.9, 0.5, -0.7, 0.2, 0.0, 0.4]
    assert best(s, 1.0, 4.0)[0] == pytest.approx(0.7, abs=1e-9)


def test_law_a_false_negative_weighs_more_the_lower_the_order() -> None:
    """At thresholds that all share: softmax over DrRL over CCL in the share of the topmost negative."""
    s, every = line([0.95, 0.5, 0.4, 0.3, 0.2])
    shares = []
    for p in (1.0, 1.2, 2.0, 4.0):
        w = Renyi(p, 1.5, 0.0).bound(s, torch.tensor([0.1], dtype=torch.float64), every).weights[0]
        shares.append(float(w[0] / w.sum()))
    softmax = torch.softmax(s[0] / 0.1, 0)
    assert shares == sorted(shares)
    assert float(softmax[0]) > shares[-1]


# -- the head --------------------------------------------------------------------------------------------------------

DRRL = ({"omega": 2.0, "c": 1.5}, {"gamma": 0.0, "c": 2.0, "eps": 0.0}, {"omega": 1.5, "c": 2.0, "solver": "bisect"})


@pytest.mark.parametrize("options", DRRL)
@QUICK
@given(case=ANY)
def test_law_drrl_pulls_the_chosen_up_and_negatives_down(options: dict[str, Any], case: Case) -> None:
    _, slope = gradient(head("drrl", **options), case)
    assert bool((slope[:, 0] <= 0).all())
    assert bool((slope[:, 1:] >= 0).all())


@pytest.mark.parametrize("name", ["drrl", "ccl", "bpr", "bce", "mse", "bsl"])
@QUICK
@given(case=ANY)
def test_law_copies_of_all_negatives_change_nothing(name: str, case: Case) -> None:
    """What is a mean over negatives; the softmax, a sum, gains log 2."""
    assert close(value(name, doubled(case)), value(name, case), 1e-9)


@QUICK
@given(case=ANY)
def test_law_a_negative_at_or_below_the_threshold_has_no_gradient(case: Case) -> None:
    _, slope = gradient(head("drrl", omega=3.0, threshold=-6.0, threshold_lr=1e-30), case)
    rewards = case.scores.policy[:, 1:] * case.beta
    assert bool((slope[:, 1:][rewards <= -6.0] == 0).all())
    assert bool((slope[:, 1:][(rewards > -6.0) & case.keep] > 0).all())


@QUICK
@given(case=PLAIN)
def test_law_a_threshold_step_lowers_the_negatives_loss(case: Case) -> None:
    """A small enough step downhill, each user with one row."""
    still = value("drrl", case, omega=2.0, c=2.0, threshold=0.0, threshold_lr=1e-30)
    moved = value("drrl", case, omega=2.0, c=2.0, threshold=0.0, threshold_lr=1e-3)
    assert bool((moved <= still + 1e-9).all())


def test_law_gamma_is_one_over_omega() -> None:
    assert DrrlOptions(gamma=0.25).power == DrrlOptions(omega=4.0).power == pytest.approx(4 / 3)
    assert DrrlOptions().power == pytest.approx(150 / 149)


@pytest.mark.parametrize(
    ("options", "words"),
    [({"omega": 2.0, "gamma": 0.5}, "say the same"), ({"solver": "bisect"}, "minus infinity")],
)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        DrrlOptions(**options)
