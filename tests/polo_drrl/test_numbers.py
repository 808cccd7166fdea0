"""Every head on numbers worked out by hand; the arithmetic is in each docstring. s is the sigmoid."""

from __future__ import annotations

from math import atan, log, tanh
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo import Scores
from polo.testing import context, small_splits
from polo_drrl.adam import Adam
from tests.contracts.components import make


def scores(policy: list[list[float]], ref: list[list[float]] | None = None, users: list[int] | None = None) -> Scores:
    made = Scores.of(
        torch.tensor(policy, dtype=torch.float64),
        ref=None if ref is None else torch.tensor(ref, dtype=torch.float64),
    )
    if users is not None:
        object.__setattr__(made, "users", torch.tensor(users))
    return made


def losses(name: str, s: Scores, beta: float = 1.0, **options: Any) -> list[float]:
    head = make("loss", name, context(splits=small_splits()), **options)
    strength = torch.full((len(s.policy), s.policy.shape[1] - 1), beta, dtype=torch.float64)
    return head(s, s.valid_rejected, strength).tolist()


#: gaps -1 and 0.5 at beta 1
ONE = scores([[1.0, 0.0, 1.5]])


def test_softmax() -> None:
    """Gaps at beta 2: -2 and 1. log(1 + e^-2 + e) = log 3.853617 = 1.349012; without the 1: log 2.853617 = 1.048587."""
    assert losses("softmax", ONE, 2.0) == pytest.approx([1.349012], abs=1e-6)
    assert losses("softmax", ONE, 2.0, positive=False) == pytest.approx([1.048587], abs=1e-6)


def test_softmax_of_log_ratios() -> None:
    """Log-ratios 2, 0, 2.5: gaps -2 and 0.5; log(1 + 0.135335 + 1.648721) = log 2.784056 = 1.023909."""
    s = scores([[1.0, 0.0, 1.5]], [[-1.0, 0.0, -1.0]])
    assert losses("softmax", s, reward="log_ratio") == pytest.approx([1.023909], abs=1e-6)
    assert losses("softmax", s) == pytest.approx([log(1 + 0.367879 + 1.648721)], abs=1e-6)


def test_a_negative_that_outweighs_all_others_does_not_overflow() -> None:
    """A temperature of 0.001 on cosines: gap 1.8 / 0.001 = 1800 nats."""
    assert losses("softmax", scores([[-0.9, 0.9, 0.0]]), 1000.0, positive=False) == pytest.approx([1800.0])


def test_bsl() -> None:
    """w 2, beta 1: users' rows [0, 0] and [1]. Positives 1 and 2 of user 0: log((e^2 + e^4) / 2) = 3.433781;
    negatives 0, 0: 2 log 1 = 0. User 1: -2 * 0.5 + 2 log((e + 1) / 2) = -1 + 1.240229."""
    s = scores([[1.0, 0.0, 0.0], [2.0, 0.0, 0.0], [0.5, 1.0, 0.0]], users=[0, 0, 1])
    assert losses("bsl", s, ratio=2.0) == pytest.approx([-3.433781, -3.433781, 0.240229], abs=1e-6)
    assert losses("bsl", s, ratio=2.0, positives="row") == pytest.approx([-2.0, -4.0, 0.240229], abs=1e-6)


def test_bpr_bce_and_mse() -> None:
    """beta 2, gaps -2 and 1: (0.126928 + 1.313262) / 2 = 0.720095.
    bce, beta 1: -log s(1) = 0.313262; -log s(0) = 0.693147; -log s(-1.5) = 1.701413;
    1/2 [0.313262 + (0.693147 + 1.701413) / 2] = 0.755271.
    mse: (s(1) - 1)^2 = 0.072329; s(0)^2 = 0.25; s(1.5)^2 = 0.668428; 1/2 [0.072329 + 0.459214] = 0.265771."""
    assert losses("bpr", ONE, 2.0) == pytest.approx([0.720095], abs=1e-6)
    assert losses("bce", ONE) == pytest.approx([0.755271], abs=1e-6)
    assert losses("mse", ONE) == pytest.approx([0.265771], abs=1e-6)


def test_ccl() -> None:
    """beta 0.5: s_w 0.5, negatives 0 and 0.75; m 0.25, w 4: 0.5 + 4 (0 + 0.5) / 2 = 1.5."""
    assert losses("ccl", ONE, 0.5, margin=0.25, weight=4.0) == pytest.approx([1.5])


@pytest.mark.parametrize(
    ("activation", "value"),
    [
        ("tanh", log((1 + tanh(-1)) ** 2 + (1 + tanh(0.5)) ** 2)),
        ("relu", log(1.5**2 + 1e-12)),  # 1 + (-1) = 0 is held at 1e-6, squared
        ("atan", log((1 + atan(-1)) ** 2 + (1 + atan(0.5)) ** 2)),
    ],
)
def test_psl(activation: str, value: float) -> None:
    """tau* 0.5 squares the activations 1 + tanh d, max(0, 1 + d), 1 + atan d at d = -1 and 0.5."""
    assert losses("psl", ONE, activation=activation, temperature=0.5) == pytest.approx([value], abs=1e-12)


@pytest.mark.parametrize("activation", ["relu", "atan"])
def test_psl_below_the_end_of_its_logarithm_is_finite_and_flat(activation: str) -> None:
    """d = -5: relu and atan are held at the floor e^-3, so the loss is log(2 e^-3)."""
    policy = torch.tensor([[5.0, 0.0, 0.0]], dtype=torch.float64, requires_grad=True)
    head = make("loss", "psl", context(), activation=activation, floor=0.049787068367863944)
    value = head(Scores.of(policy), torch.ones(1, 2, dtype=torch.bool), torch.ones(1, 2, dtype=torch.float64))
    assert value.tolist() == pytest.approx([log(2) - 3])
    assert torch.autograd.grad(value.sum(), policy)[0].tolist() == [[0, 0, 0]]


def test_drrl() -> None:
    """omega 2: p = 2; c 2, eps 0.5, b 0.5, rate 0.1. Negatives 0 and 1.5: x = 0.5 and 0.5 + 2 = 2.5.
    |x| = sqrt((0.25 + 6.25) / 2) = 1.802776; weight of the second: 2/2 * 2.5 / 1.802776 = 1.386750; slope -0.386750.
    b moves to 0.538675: x = 0.5, 2.422650; sqrt((0.25 + 5.869233) / 2) = 1.749176; s_w = 1: relu(0) = 0.
    0 + 1.749176 + 0.538675 = 2.287851."""
    options = {"omega": 2.0, "c": 2.0, "eps": 0.5, "threshold": 0.5, "threshold_lr": 0.1}
    assert losses("drrl", ONE, **options) == pytest.approx([2.287851], abs=1e-6)


def test_drrl_moves_a_user_once_for_all_their_rows_of_a_batch() -> None:
    """p 1, c 2, eps 0, b 0.5: one negative each. Above: slope 1 - 2 = -1; below: +1. User 0 has two rows above and one
    below: -1, so b = 0.5 + 0.1; user 3 has one below: b = 0.5 - 0.1. Losses: relu(1 - 1) + 2 relu(s - b) + b."""
    s = scores([[1.0, 1.0], [1.0, 2.0], [1.0, 0.0], [1.0, 0.0]], users=[0, 0, 0, 3])
    options = {"gamma": 0.0, "c": 2.0, "eps": 0.0, "threshold": 0.5, "threshold_lr": 0.1}
    assert losses("drrl", s, **options) == pytest.approx([1.4, 3.4, 0.6, 0.4])


def test_drrl_with_the_best_threshold() -> None:
    """p 2, c 2, eps 0, negatives 0 and 1. For 0 < b < 1: L = sqrt((2 (1 - b))^2 / 2) + b, slope 1 - sqrt 2 < 0; above
    1 it rises. So L = 1 at b = 1: with c^2 = 4 >= n the largest score alone. s_w = 0 adds relu(1 - 0) = 1."""
    assert losses("drrl", scores([[0.0, 0.0, 1.0]]), omega=2.0, c=2.0, eps=0.0, solver="bisect") == pytest.approx([2.0])


def test_drrl_chi_square() -> None:
    """p 2 is the chi-square ball: mean + sqrt((c^2 - 1) Var) while no weight is cut off. Scores -1, 0, 1, c^2 = 1.24:
    Var = 2/3, 0 + sqrt(0.24 * 2 / 3) = 0.4; plus relu(1 - 1) = 0."""
    s = scores([[1.0, -1.0, 0.0, 1.0]])
    assert losses("drrl", s, omega=2.0, c=1.24**0.5, eps=0.0, solver="bisect") == pytest.approx([0.4], abs=1e-9)


def test_sl_at_k() -> None:
    """K 2, tau_w 0.5, quantile 0 at first: s(1 / 0.5) = 0.880797 times log(e^-1 + e^0.5) = log 2.016601 = 0.701413.
    After a step the second of 1.5, 1, 0 is 1: s(0) = 0.5. A user with rows of quantiles 1 and 3: s((1 - 2) / 0.5)."""
    s, beta = scores([[1.0, 0.0, 1.5]], users=[7]), torch.ones(1, 2, dtype=torch.float64)
    head = make("loss", "sl_at_k", context(splits=small_splits()), k=2, weight_temperature=0.5)
    assert head(s, s.valid_rejected, beta).tolist() == pytest.approx([0.880797 * 0.701413], abs=1e-6)
    head.after_step(0)
    assert head(s, s.valid_rejected, beta).tolist() == pytest.approx([0.5 * 0.701413], abs=1e-6)
    two = scores([[1.0, 0.0, 1.5], [3.0, 9.0, 0.0]], users=[7, 7])
    head(two, two.valid_rejected, beta.expand(2, -1))
    head.after_step(1)
    assert head(s, s.valid_rejected, beta).tolist() == pytest.approx([0.119203 * 0.701413], abs=1e-6)


def test_sl_at_k_takes_the_lowest_where_there_are_fewer_than_k_and_waits_for_its_turn() -> None:
    """K 20 of three scores: the lowest, 0; s(1 / 0.5) stays. Every third step: nothing after steps 0 and 1."""
    s, beta = scores([[1.0, 0.5, 1.5]], users=[7]), torch.ones(1, 2, dtype=torch.float64)
    head = make("loss", "sl_at_k", context(splits=small_splits()), weight_temperature=0.5, every=3)
    first = head(s, s.valid_rejected, beta)
    for step in (0, 1):
        head.after_step(step)
    assert torch.equal(head(s, s.valid_rejected, beta), first)
    head.after_step(2)
    assert float(head(s, s.valid_rejected, beta) / first) == pytest.approx(0.731059 / 0.880797, abs=1e-6)  # s(0.5/0.5)


def test_llpauc() -> None:
    """Scores log 3 and -log 3: p = 3/4 and 1/4. a 1, b 0, gamma 0, s+ = s- = 0.5; R is nearly the positive part:
    l+ = -1/16 + 3/2 = 1.4375, l- = 1/16 + 1/2 = 0.5625; 0.9375 / 0.5 = 1.875 and 0.0625 / 0.25 = 0.25."""
    s = scores([[log(3), -log(3)]])
    head = make("loss", "llpauc", context(), alpha=0.5, beta=0.25, kappa=1e4)
    found = head(s, s.valid_rejected, torch.ones(1, 1, dtype=torch.float64))
    assert found.tolist() == pytest.approx([-0.5 - 1.875 + 0.5 + 0.25], abs=1e-3)


@pytest.mark.parametrize(("ascent", "sign"), [(True, 1.0), (False, -1.0)])
def test_llpauc_moves_its_own_numbers_after_the_step(ascent: bool, sign: float) -> None:
    """Adam's first step has the size of its rate, against the sign of the gradient. a: -2 (p_w - a) / alpha = 1, so it
    falls. b: -2 (p_j - b) / beta = -2, so it rises. gamma: -2 p_w / alpha + 2 p_j / beta = -3 + 2 = -1. s+: -1 + 1 /
    alpha = 1. s-: 1 - 1 / beta = -3."""
    s = scores([[log(3), -log(3)]])
    head = make("loss", "llpauc", context(), alpha=0.5, beta=0.25, kappa=1e4, lr=0.01, ascent=ascent)
    head(s, s.valid_rejected, torch.ones(1, 1, dtype=torch.float64))
    head.after_step(0)
    expected = [0.99, 0.01, -0.02 * sign, 0.5 + 0.02 * sign, 0.52]
    assert head.state_dict()["values"].tolist() == pytest.approx(expected, abs=1e-6)


def test_adv_infonce() -> None:
    """An adversary of zeros tells nothing apart: log(1 + w (e^-1 + e^0.5)) with w = 2: log 5.033201 = 1.616056. With
    cosines 1 and 0: P = e/(1 + e) = 0.731059, 0.268941: log(1 + 2 * 2 (0.731059 e^-1 + 0.268941 e^0.5))
    = log(1 + 4 * 0.712351) = 1.347918."""
    s, beta = scores([[1.0, 0.0, 1.5]]), torch.ones(1, 2, dtype=torch.float64)
    splits = small_splits()
    head = make("loss", "adv_infonce", context(splits=splits), weight=2.0, width=2)
    state = head.state_dict()
    head.load_state_dict({**state, "values": torch.zeros_like(state["values"])})
    assert head(s, s.valid_rejected, beta).tolist() == pytest.approx([1.616056], abs=1e-6)
    vectors = torch.zeros_like(state["values"])
    vectors[0, 0] = vectors[splits.n_users + 1, 0] = vectors[splits.n_users + 2, 1] = 3.0  # user 0, items 1 and 2
    head.load_state_dict({**state, "values": vectors})
    assert head(s, s.valid_rejected, beta).tolist() == pytest.approx([1.347918], abs=1e-6)


def test_the_adversary_of_adv_infonce_makes_the_loss_larger() -> None:
    s, beta = scores([[1.0, 0.0, 1.5]]), torch.ones(1, 2, dtype=torch.float64)
    head = make("loss", "adv_infonce", context(splits=small_splits()), lr=0.1)
    found = []
    for step in range(5):
        found += head(s, s.valid_rejected, beta).tolist()
        head.after_step(step)
    assert found == sorted(set(found))


def test_adv_infonce_with_one_negative() -> None:
    """One kept of two: log 1 = 0 and P = 1, so log(1 + w e^d) with w = 2, d = 0.5: log 4.297443 = 1.458020."""
    s, beta = scores([[1.0, 0.0, 1.5]]), torch.ones(1, 2, dtype=torch.float64)
    head = make("loss", "adv_infonce", context(splits=small_splits()), weight=2.0)
    assert head(s, torch.tensor([[False, True]]), beta).tolist() == pytest.approx([1.458020], abs=1e-6)


def test_the_adversary_moves_after_every_so_many_steps() -> None:
    """With ``every: 3`` after the steps 2, 5, ... from 0."""
    s, beta = scores([[1.0, 0.0, 1.5]]), torch.ones(1, 2, dtype=torch.float64)
    head = make("loss", "adv_infonce", context(splits=small_splits()), lr=0.1, every=3)
    moved = []
    for step in range(6):
        before = head.state_dict()["values"].clone()
        head(s, s.valid_rejected, beta)
        head.after_step(step)
        moved.append(not torch.equal(head.state_dict()["values"], before))
    assert moved == [False, False, True, False, False, True]


@given(st.lists(st.lists(st.floats(-10, 10), min_size=3, max_size=3), min_size=1, max_size=6))
def test_law_a_heads_own_parameters_move_as_torchs_adam_moves(gradients: list[list[float]]) -> None:
    own, judge = Adam(torch.tensor([1.0, -2.0, 0.5]), 0.1), torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    optimiser = torch.optim.Adam([judge], lr=0.1)
    for gradient in gradients:
        judge.grad = torch.tensor(gradient, dtype=torch.float64)
        optimiser.step()
        own.propose(judge.grad)
        own.commit()
    assert own.values.tolist() == pytest.approx(judge.tolist(), abs=1e-9)


def test_llpauc_away_from_where_it_begins() -> None:
    """gamma 0.2: l+ = -1/16 + 1.8 = 1.7375, l- = 1/16 + 0.6 = 0.6625; -0.04 - 1.2375 / 0.5 + 0.1625 / 0.25 = -1.865."""
    s = scores([[log(3), -log(3)]])
    head = make("loss", "llpauc", context(), alpha=0.5, beta=0.25, kappa=1e4)
    state = head.state_dict()
    head.load_state_dict({**state, "values": torch.tensor([1.0, 0.0, 0.2, 0.5, 0.5], dtype=torch.float64)})
    assert head(s, s.valid_rejected, torch.ones(1, 1, dtype=torch.float64)).tolist() == pytest.approx(
        [-1.865], abs=1e-3
    )


@pytest.mark.parametrize("detach", [True, False])
def test_the_weight_of_sl_at_k_passes_no_gradient_on_if_it_is_detached(detach: bool) -> None:
    """The gaps do not change where all scores rise alike, so without the weight's part the gradient sums to 0."""
    policy = torch.tensor([[1.0, 0.5, 1.5]], dtype=torch.float64, requires_grad=True)
    s = Scores.of(policy)
    object.__setattr__(s, "users", torch.tensor([7]))
    head = make("loss", "sl_at_k", context(splits=small_splits()), detach=detach)
    (gradient,) = torch.autograd.grad(head(s, s.valid_rejected, torch.ones(1, 2, dtype=torch.float64)).sum(), policy)
    assert (abs(float(gradient.sum())) < 1e-12) is detach
    assert float(gradient.abs().sum()) > 0.1
