"""Every head on numbers worked out by hand; the arithmetic is in each docstring. s is the sigmoid."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from polo import PoloError, Scores
from polo.testing import context
from polo_preference.options.losses import Term
from tests.contracts.components import choice, make


def scores(policy: list[float], ref: list[float] | None = None, tokens: list[int] | None = None, **more: Any) -> Scores:
    """One row in float64."""
    return Scores.of(
        torch.tensor([policy], dtype=torch.float64),
        ref=None if ref is None else torch.tensor([ref], dtype=torch.float64),
        tokens=None if tokens is None else torch.tensor([tokens]),
        **more,
    )


def loss(name: str, s: Scores, beta: float | list[float] = 1.0, **options: Any) -> float:
    k = s.policy.shape[1] - 1
    strength = torch.tensor([[beta] * k if isinstance(beta, float) else beta], dtype=torch.float64)
    return float(make("loss", name, context(), **options)(s, s.valid_rejected, strength))


#: log-ratios: chosen 1, rejected -1 and 0.5; margins 2 and 0.5
THREE = scores([-2.0, -6.0, -4.5], [-3.0, -5.0, -5.0], [2, 3, 3])
#: log-ratios: chosen 0.5, rejected -0.5; margin 1
TWO = scores([-1.0, -2.0], [-1.5, -1.5], [1, 2])


def test_sft() -> None:
    """-log p of the chosen title: 2; over its 2 tokens: 1."""
    assert loss("sft", THREE, reduce="sequence") == pytest.approx(2.0)
    assert loss("sft", THREE) == pytest.approx(1.0)


def test_dpo_and_its_reductions() -> None:
    """beta 0.5: -log s(1) = log(1 + e^-1) = 0.313262 and -log s(0.25) = log(1 + e^-0.25) = 0.575939."""
    assert loss("dpo", THREE, 0.5) == pytest.approx((0.313262 + 0.575939) / 2, abs=1e-6)
    assert loss("dpo", THREE, 0.5, pairs="sum") == pytest.approx(0.889201, abs=1e-6)
    assert loss("dpo", THREE, 0.5, pairs="max") == pytest.approx(0.575939, abs=1e-6)


def test_each_negative_has_its_own_beta() -> None:
    """beta 0.5 and 2: z = 1 and 1, so both pairs cost log(1 + e^-1) = 0.313262."""
    assert loss("dpo", THREE, [0.5, 2.0]) == pytest.approx(0.313262, abs=1e-6)
    assert loss("dmpo", THREE, [0.5, 2.0]) == pytest.approx(0.313262, abs=1e-6)


def test_cdpo() -> None:
    """z = 1, e = 0.1: 0.9 * 0.313262 + 0.1 * 1.313262 = 0.413262."""
    assert loss("cdpo", TWO, smoothing=0.1) == pytest.approx(0.413262, abs=1e-6)


def test_robust_dpo() -> None:
    """z = 1, e = 0.1: (0.9 * 0.313262 - 0.1 * 1.313262) / 0.8 = 0.188262."""
    assert loss("robust_dpo", TWO, smoothing=0.1) == pytest.approx(0.188262, abs=1e-6)


def test_ipo() -> None:
    """beta 0.25: target 2. Sums: (1 - 2)^2 = 1. Means: 0.5 / 1 + 0.5 / 2 = 0.75, (0.75 - 2)^2 = 1.5625."""
    assert loss("ipo", TWO, 0.25) == pytest.approx(1.0)
    assert loss("ipo", TWO, 0.25, length="mean") == pytest.approx(1.5625)


def test_hinge() -> None:
    """beta 0.25: 1 - 0.25 = 0.75; beta 2: max(0, 1 - 2) = 0."""
    assert loss("hinge", TWO, 0.25) == pytest.approx(0.75)
    assert loss("hinge", TWO, 2.0) == 0.0


def test_simpo() -> None:
    """Means -1 / 1 and -2 / 2 are equal; beta 2, gamma 1: -log s(-1) = 1.313262."""
    assert loss("simpo", TWO, 2.0, gamma=1.0) == pytest.approx(1.313262, abs=1e-6)


def test_cpo() -> None:
    """-log s(1) + 0.5 * 1 = 0.313262 + 0.5."""
    assert loss("cpo", TWO, nll=0.5) == pytest.approx(0.813262, abs=1e-6)


def test_rpo() -> None:
    """THREE at beta 0.5: 0.4446005 as dpo, plus the mean token loss 1; or plus 0.5 of the sum 2, which is 1 too."""
    assert loss("rpo", THREE, 0.5) == pytest.approx(1.444601, abs=1e-6)
    assert loss("rpo", THREE, 0.5, nll=0.5, reduce="sequence") == pytest.approx(1.444601, abs=1e-6)


def test_orpo() -> None:
    """p = 0.75 and 0.5 per token: odds 3 and 1, log odds ratio log 3; NLL 0.287682 + 0.1 * log(1 + 1/3) = 0.316450."""
    s = Scores.of(torch.tensor([[0.75, 0.25]], dtype=torch.float64).log(), tokens=torch.tensor([[1, 2]]))
    assert loss("orpo", s, 0.1) == pytest.approx(0.287682 + 0.1 * 0.287682, abs=1e-6)


def test_kto() -> None:
    """KL 0.25: 1 - s(0.5 - 0.25) = 0.437823; 1 - s(0.25 + 0.5) = 0.320821; half their sum 0.379322. A negative mean
    of the mismatched ratios counts as 0: 1 - s(0.5) = 0.377541 twice."""
    other = torch.tensor([0.25], dtype=torch.float64)
    assert loss("kto", scores([-1.0, -2.0], [-1.5, -1.5], mismatched=other)) == pytest.approx(0.379322, abs=1e-6)
    assert loss("kto", scores([-1.0, -2.0], [-1.5, -1.5], mismatched=-other)) == pytest.approx(0.377541, abs=1e-6)


def test_kto_weights_and_several_negatives() -> None:
    """r = 1; -1, 0.5; KL 0: 1/2 [2 (1 - s(1)) + 3 mean(1 - s(1), 1 - s(-0.5))]
    = 1/2 [0.537883 + 3 (0.268941 + 0.622459) / 2] = 0.937491."""
    s = Scores.of(THREE.policy, ref=THREE.ref, mismatched=torch.zeros(1, dtype=torch.float64))
    assert loss("kto", s, desirable=2.0, undesirable=3.0) == pytest.approx(0.937491, abs=1e-6)


def test_kto_says_when_it_is_given_no_pairs() -> None:
    with pytest.raises(PoloError, match="mismatched"):
        loss("kto", TWO)


def test_dpop() -> None:
    """Chosen ratio -0.5, rejected -1.5, lambda 3: margin 1 - 3 * 0.5 = -0.5, log(1 + e^0.5) = 0.974077."""
    assert loss("dpop", scores([-2.0, -3.0], [-1.5, -1.5]), penalty=3.0) == pytest.approx(0.974077, abs=1e-6)
    assert loss("dpop", TWO, penalty=3.0) == pytest.approx(0.313262, abs=1e-6)  # chosen ratio positive: no penalty


def test_alpha_dpo() -> None:
    """Two rows of one negative and 1 token each: margins m = 1 and 3; ratio margins D = 0 and 2, mean 1, deviation 1,
    z = -1 and 1; gamma 0.5, alpha 0.25: targets 0.25 and 0.75; beta 2: -log s(1.5) = 0.201413,
    -log s(4.5) = 0.011048."""
    s = Scores.of(
        torch.tensor([[-1.0, -2.0], [-1.0, -4.0]], dtype=torch.float64),
        ref=torch.tensor([[-1.0, -2.0], [-1.0, -2.0]], dtype=torch.float64),
    )
    head = make("loss", "alpha_dpo", context(), gamma=0.5, alpha=0.25)
    value = head(s, s.valid_rejected, torch.full((2, 1), 2.0, dtype=torch.float64))
    assert value.tolist() == pytest.approx([0.201413, 0.011048], abs=1e-6)


def test_dmpo() -> None:
    """beta 0.5: beta r_w - beta/k sum r_j = 0.5 * 1 - 0.25 * (-0.5) = 0.625; log(1 + e^-0.625) = 0.428701."""
    assert loss("dmpo", THREE, 0.5) == pytest.approx(0.428701, abs=1e-6)


def test_sdpo() -> None:
    """beta 0.5: log(1 + e^-1 + e^-0.25) = log(1 + 0.367879 + 0.778801) = log 2.146680 = 0.763922."""
    assert loss("sdpo", THREE, 0.5) == pytest.approx(0.763922, abs=1e-6)


def test_sdpo_sampled() -> None:
    """As sdpo, with n = 2 and q = 1/4, 1/8: weights 1 / (n q) = 2 and 4:
    log(1 + 2 * 0.367879 + 4 * 0.778801) = log 4.850962 = 1.579177."""
    s = Scores.of(THREE.policy, ref=THREE.ref)
    object.__setattr__(s, "log_q", torch.tensor([[0.25, 0.125]], dtype=torch.float64).log())
    assert loss("sdpo_sampled", s, 0.5) == pytest.approx(1.579177, abs=1e-6)
    with pytest.raises(PoloError, match="sdpo_sampled"):
        loss("sdpo_sampled", THREE)


def test_mppo() -> None:
    """p = 1/2; 1/4, 1/8, summed over negatives: z = 2 (1/4 + 3/8) = 1.25, log(1 + e^-1.25) = 0.251929.
    Per token, tokens 1, 2, 3: p = 1/2, 1/2, 1/2, so z = 0 and the loss is log 2."""
    log_p = torch.tensor([0.5, 0.25, 0.125], dtype=torch.float64).log().tolist()
    assert loss("mppo", scores(log_p), 2.0) == pytest.approx(0.251929, abs=1e-6)
    assert loss("mppo", scores(log_p, tokens=[1, 2, 3]), 2.0, length="mean") == pytest.approx(0.693147, abs=1e-6)


def test_apo() -> None:
    """zero: 1 - s(0.5) + s(-0.5) = 2 * 0.377541; down: s(0.5) + 1 - s(1) = 0.622459 + 0.268941."""
    assert loss("apo_zero", TWO) == pytest.approx(0.755081, abs=1e-6)
    assert loss("apo_down", TWO) == pytest.approx(0.891400, abs=1e-6)


def test_nca() -> None:
    """a = 0.5, b = -0.5: -log s(0.5) = 0.474077, -log s(-0.5) / 2 = 0.487038, -log s(0.5) / 2 = 0.237038."""
    assert loss("nca", TWO) == pytest.approx(0.474077 + 0.487038 + 0.237038, abs=2e-6)


def test_exo() -> None:
    """z = 1, e = 0.1: s(1) = 0.731059, log s(1) = -0.313262, log s(-1) = -1.313262:
    0.731059 (-0.313262 + 0.105361) + 0.268941 (-1.313262 + 2.302585) = -0.151987 + 0.266069 = 0.114082."""
    assert loss("exo", TWO, smoothing=0.1) == pytest.approx(0.114082, abs=2e-6)


def test_sppo() -> None:
    """beta 0.25, target 2: (0.5 - 2)^2 + (-0.5 + 2)^2 = 4.5."""
    assert loss("sppo", TWO, 0.25) == pytest.approx(4.5)


def test_discopop() -> None:
    """z = 1, tau 1: m = s(1) = 0.731059; 0.268941 * 0.313262 + 0.731059 * 0.367879 = 0.084249 + 0.268941."""
    assert loss("discopop", TWO, tau=1.0) == pytest.approx(0.353190, abs=2e-6)


def test_bco() -> None:
    """Rewards 0.5 and -0.5: their mean 0 shifts nothing, 2 * 0.474077. With ratios 1 and 0 the shift is 0.5: the same;
    without a shift: -log s(1) - log s(0) = 0.313262 + 0.693147."""
    moved = scores([-1.0, -2.0], [-2.0, -2.0])
    assert loss("bco", TWO) == pytest.approx(0.948154, abs=1e-6)
    assert loss("bco", moved) == pytest.approx(0.948154, abs=1e-6)
    assert loss("bco", moved, shift=False) == pytest.approx(1.006409, abs=1e-6)


def state_after(part: Any, batches: list[Scores]) -> Tensor:
    """The loss or beta of the last batch after the others were committed."""
    out = torch.empty(0)
    for s in batches:
        if hasattr(part, "needs") and "negatives" in part.needs:
            out = part(s, s.valid_rejected, torch.ones(1, 1, dtype=torch.float64))
        else:
            out = part(s, s.valid_rejected, 0.0)
        part.after_step(0)
    return out


def test_bco_shift_is_the_mean_over_batches() -> None:
    """First batch: mean reward (1 + 0) / 2 = 0.5. Second: ratios 0.5, -0.5, mean 0; the shift is 0.25:
    -log s(0.25) - log s(0.75) = 0.575939 + 0.386871."""
    moved = scores([-1.0, -2.0], [-2.0, -2.0])
    assert float(state_after(make("loss", "bco", context()), [moved, TWO])) == pytest.approx(0.962810, abs=2e-6)


@pytest.mark.parametrize("name", ["bco", "alpha_dpo"])
def test_state_is_saved_and_loaded(name: str) -> None:
    moved = scores([-1.0, -2.0], [-3.0, -2.0])
    whole, before = make("loss", name, context()), make("loss", name, context())
    expected = state_after(whole, [moved, TWO, moved])
    state_after(before, [moved, TWO])
    after = make("loss", name, context())
    after.load_state_dict(before.state_dict())
    assert torch.equal(state_after(after, [moved]), expected)


def test_law_a_sum_at_zero_is_the_weighted_sum_of_its_terms_at_zero_row_by_row() -> None:
    """Three rows with two, one and no negative, two terms: no shape is the other's."""
    keep = torch.tensor([[True, True], [True, False], [False, False]])
    beta = torch.tensor([[0.5, 2.0], [1.0, 1.0], [1.0, 1.0]])
    terms = (Term(loss=choice("loss", "dpo"), weight=0.25), Term(loss=choice("loss", "sdpo"), weight=3.0))
    dpo, sdpo = (make("loss", name, context()).at_zero(keep, beta) for name in ("dpo", "sdpo"))
    torch.testing.assert_close(
        make("loss", "sum", context(), of=terms).at_zero(keep, beta), 0.25 * dpo + 3.0 * sdpo, rtol=1e-6, atol=0
    )


def test_a_sum_saves_the_state_of_its_parts_under_their_place() -> None:
    of = (Term(loss=choice("loss", "dpo")), Term(loss=choice("loss", "bco")))
    first, second = make("loss", "sum", context(), of=of), make("loss", "sum", context(), of=of)
    moved = scores([-1.0, -2.0], [-3.0, -2.0])
    expected = state_after(first, [moved, TWO])
    state_after(other := make("loss", "sum", context(), of=of), [moved])
    assert set(other.state_dict()) == {"1.sum_and_count"}
    second.load_state_dict(other.state_dict())
    assert torch.equal(state_after(second, [TWO]), expected)
