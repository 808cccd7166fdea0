"""Laws of the loss heads, for any scores: reductions to one another, invariances, orderings, signs."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polo.testing import Case
from polo.testing.losses import gradient
from polo.testing.strategies import score_cases
from tests.contracts.components import head, value


def close(a: Tensor, b: Tensor) -> bool:
    return torch.allclose(a, b, rtol=1e-10, atol=1e-10)


QUICK = settings(max_examples=25, deadline=None)

ONE = score_cases(k=st.just(1))
ANY = score_cases()
PLAIN = score_cases(one_beta=True)


@QUICK
@given(ONE)
def test_with_one_negative_dmpo_sdpo_and_every_reduction_of_pairs_are_dpo(case: Case) -> None:
    dpo = value("dpo", case)
    for other in (
        value("dmpo", case),
        value("sdpo", case),
        value("dpo", case, pairs="sum"),
        value("dpo", case, pairs="max"),
    ):
        assert close(other, dpo)


@QUICK
@given(ANY)
def test_without_smoothing_cdpo_and_robust_dpo_are_dpo(case: Case) -> None:
    assert close(value("cdpo", case, smoothing=0.0), value("dpo", case))
    assert close(value("robust_dpo", case, smoothing=0.0), value("dpo", case))


@QUICK
@given(ANY, st.floats(0, 0.45))
def test_robust_dpo_averaged_over_flipped_labels_is_dpo(case: Case, e: float) -> None:
    """(1-e) l(z) + e l(-z) = -log sigmoid(z): flipping the labels of a pair turns z into -z."""
    flipped = replace(case, beta=-case.beta)
    mean = (1 - e) * value("robust_dpo", case, smoothing=e) + e * value("robust_dpo", flipped, smoothing=e)
    assert torch.allclose(mean, value("dpo", case), rtol=1e-8, atol=1e-8)


@QUICK
@given(ANY)
def test_without_extra_terms_dpop_rpo_are_dpo_and_cpo_is_dpo_without_a_reference(case: Case) -> None:
    assert close(value("dpop", case, penalty=0.0), value("dpo", case))
    assert close(value("rpo", case, nll=0.0), value("dpo", case))
    flat = replace(case, scores=replace(case.scores, ref=torch.zeros_like(case.scores.policy)))
    assert close(value("cpo", case, nll=0.0), value("dpo", flat))


@QUICK
@given(PLAIN, st.floats(0, 2))
def test_alpha_dpo_without_alpha_is_simpo_with_gamma_times_beta(case: Case, gamma: float) -> None:
    """beta (m - gamma') = beta m - gamma with gamma = beta gamma'."""
    simpo = value("simpo", case, gamma=gamma * float(case.beta[0, 0]))
    assert close(value("alpha_dpo", case, alpha=0.0, gamma=gamma), simpo)


@QUICK
@given(ANY)
def test_jensen_the_mean_of_pair_losses_is_at_least_dmpo(case: Case) -> None:
    assert (value("dpo", case) >= value("dmpo", case) - 1e-10).all()


@QUICK
@given(ANY)
def test_sdpo_lies_between_the_largest_and_the_sum_of_pair_losses(case: Case) -> None:
    sdpo = value("sdpo", case)
    assert (sdpo >= value("dpo", case, pairs="max") - 1e-10).all()
    assert (sdpo <= value("dpo", case, pairs="sum") + 1e-10).all()


@QUICK
@given(ONE, st.integers(1, 6))
def test_sdpo_of_k_equal_negatives_is_softplus_of_log_k_minus_the_margin(case: Case, k: int) -> None:
    def repeat(t: Tensor) -> Tensor:
        return torch.cat([t[:, :1], t[:, 1:].expand(-1, k)], dim=1)

    s = case.scores
    many = replace(
        s,
        policy=repeat(s.policy),
        ref=repeat(s.ref),
        tokens=repeat(s.tokens),
        valid=repeat(s.valid),
        items=repeat(s.items),
    )
    case_k = Case(many, case.keep.expand(-1, k), case.beta.expand(-1, k))
    margin = (case.beta * (s.log_ratio[:, :1] - s.log_ratio[:, 1:]))[:, 0]
    expected = torch.nn.functional.softplus(torch.log(torch.tensor(float(k))).double() - margin)
    assert torch.allclose(value("sdpo", case_k), expected, rtol=1e-7, atol=1e-7)


@QUICK
@given(ANY, st.integers(-64, 64))
def test_a_shift_of_all_of_a_rows_scores_changes_no_loss_of_margins(case: Case, shift: int) -> None:
    moved = case.with_policy(case.scores.policy + shift / 8)
    for name in ("dpo", "cdpo", "robust_dpo", "ipo", "hinge", "dmpo", "sdpo", "exo", "discopop"):
        assert torch.allclose(value(name, moved), value(name, case), rtol=1e-9, atol=1e-9), name


@QUICK
@given(score_cases(one_beta=True, all_kept=True))
def test_a_sampled_softmax_over_the_whole_catalogue_is_sdpo(case: Case) -> None:
    """All N items drawn with q = 1/N each: n q_j = 1, so every weight is 1."""
    n = case.keep.shape[1]
    log_q = torch.full(
        case.keep.shape, -float(torch.log(torch.tensor(float(n), dtype=torch.float64))), dtype=torch.float64
    )
    sampled = replace(case, scores=replace(case.scores, log_q=log_q))
    assert close(value("sdpo_sampled", sampled), value("sdpo", case))


#: heads whose loss falls when the chosen title gains and rises when a kept negative gains, everywhere
MONOTONE = ["dpo", "hinge", "simpo", "cpo", "orpo", "rpo", "dpop", "dmpo", "sdpo", "mppo", "kto", "apo_zero", "bco",
            "alpha_dpo"]  # fmt: skip


@pytest.mark.parametrize("name", MONOTONE)
@QUICK
@given(case=ANY)
def test_gradient_signs(name: str, case: Case) -> None:
    _, slope = gradient(head(name), case)
    assert (slope[:, 0] <= 1e-12).all()
    assert (slope[:, 1:] >= -1e-12).all()


def test_discopop_is_not_monotone_at_a_margin_of_zero() -> None:
    """z = 0, tau = 0.05: d/dz [(1-m) log(1+e^-z) + m e^-z], m' = 1/(4 tau) = 5, is
    -5 log 2 - 1/4 + 5 - 1/2 = 0.784: the slope is positive there by design of the found loss."""
    from polo import Scores

    flat = torch.zeros(1, 2, dtype=torch.float64)
    case = Case(Scores.of(flat, ref=flat), torch.ones(1, 1, dtype=torch.bool), torch.ones(1, 1, dtype=torch.float64))
    _, slope = gradient(head("discopop"), case)
    assert slope[0].tolist() == pytest.approx([0.78426, -0.78426], abs=1e-5)


#: heads that are functions of margins: what the chosen title gains, the negatives lose
OF_MARGINS = ["dpo", "cdpo", "robust_dpo", "ipo", "hinge", "dmpo", "sdpo", "exo", "discopop"]


@pytest.mark.parametrize("name", OF_MARGINS)
@QUICK
@given(case=ANY)
def test_gradients_of_a_loss_of_margins_sum_to_zero(name: str, case: Case) -> None:
    _, slope = gradient(head(name), case)
    assert (slope.sum(-1).abs() <= 1e-9 * slope.abs().sum(-1) + 1e-12).all()


@QUICK
@given(ANY)
def test_dmpo_gradients_are_the_shares_of_beta(case: Case) -> None:
    """dL/dr_w = -s mean(beta), dL/dr_j = s beta_j / |B| with s = sigmoid(-mean_j beta_j D_j)."""
    _, slope = gradient(head("dmpo"), case)
    n = case.keep.sum(-1, keepdim=True)
    weight = torch.where(case.keep, case.beta, 0.0)
    margin = case.scores.log_ratio[:, :1] - case.scores.log_ratio[:, 1:]
    s = torch.sigmoid(-(weight * margin).sum(-1, keepdim=True) / n)
    assert close(slope[:, 1:], s * weight / n)
    assert close(slope[:, :1], -s * weight.sum(-1, keepdim=True) / n)


@QUICK
@given(ANY)
def test_sdpo_gradients_are_softmax_shares(case: Case) -> None:
    """dL/dr_j = beta_j softmax over {0} and the beta (r_j - r_w)."""
    _, slope = gradient(head("sdpo"), case)
    margin = case.scores.log_ratio[:, 1:] - case.scores.log_ratio[:, :1]
    logits = torch.where(case.keep, case.beta * margin, -torch.inf)
    share = torch.cat([torch.zeros(len(logits), 1), logits], dim=1).softmax(-1)[:, 1:]
    assert close(slope[:, 1:], torch.where(case.keep, case.beta * share, 0.0))


@QUICK
@given(ANY)
def test_ipo_is_least_where_the_margin_is_half_the_inverse_beta(case: Case) -> None:
    """D = 1 / (2 beta) for every pair: chosen ratio 0, r_j = -1 / (2 beta_j)."""
    ratio = torch.cat([torch.zeros(len(case.beta), 1, dtype=torch.float64), -0.5 / case.beta], dim=1)
    losses, slope = gradient(head("ipo"), case.with_policy(case.scores.ref + ratio))
    assert (losses.abs() < 1e-20).all()
    assert (slope.abs() < 1e-10).all()


@QUICK
@given(ANY, st.floats(0.01, 0.4))
def test_cdpo_and_exo_are_least_where_the_model_agrees_with_the_smoothed_labels(case: Case, e: float) -> None:
    """sigmoid(beta D) = 1 - e for every pair; there EXO's divergence is 0 and both slopes are 0."""
    logit = float(torch.logit(torch.tensor(1 - e, dtype=torch.float64)))
    ratio = torch.cat([torch.zeros(len(case.beta), 1, dtype=torch.float64), -logit / case.beta], dim=1)
    at = case.with_policy(case.scores.ref + ratio)
    for name in ("cdpo", "exo"):
        losses, slope = gradient(head(name, smoothing=e), at)
        assert (slope.abs() < 1e-9).all(), name
    assert (losses.abs() < 1e-9).all()


@QUICK
@given(ANY)
def test_exo_and_squared_losses_are_not_negative(case: Case) -> None:
    for name in ("exo", "ipo", "sppo", "hinge", "kto", "apo_zero", "apo_down"):
        assert (value(name, case) >= -1e-12).all(), name


@QUICK
@given(ANY)
def test_kto_is_bounded_by_its_weights(case: Case) -> None:
    assert (value("kto", case, desirable=1.5, undesirable=0.5) <= 1.0 + 1e-12).all()


@QUICK
@given(ANY)
def test_a_sum_of_losses_is_the_weighted_sum(case: Case) -> None:
    from polo_preference.options.losses import Term
    from tests.contracts.components import choice

    of = (Term(loss=choice("loss", "dmpo"), weight=1.0), Term(loss=choice("loss", "sft"), weight=0.1))
    assert close(value("sum", case, of=of), value("dmpo", case) + 0.1 * value("sft", case))


SMOOTH = ["dpo", "cdpo", "robust_dpo", "ipo", "simpo", "cpo", "orpo", "rpo", "dmpo", "sdpo", "sdpo_sampled", "mppo",
          "apo_zero", "apo_down", "nca", "exo", "sppo", "discopop", "sft", "lpo_plain", "lpo_r"]  # fmt: skip
#: their own gradients are partly stopped on purpose, or have kinks: away from them gradcheck holds
KINKED = ["hinge", "dpop"]


@pytest.mark.parametrize("name", SMOOTH + KINKED)
def test_gradcheck(name: str) -> None:
    """Margins and log-ratios stay away from kinks: hinge at beta D = 1, dpop at r_w = 0, lpo at D = 1 / (2 beta)."""
    from polo.testing.cases import case as make_case

    one = make_case(3, 3, seed=4)
    policy = one.scores.policy.clone().requires_grad_()
    loss = head(name)
    assert torch.autograd.gradcheck(
        lambda p: loss(replace(one.scores, policy=p), one.keep, one.beta), (policy,), eps=1e-6, atol=1e-6
    )
