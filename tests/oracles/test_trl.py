"""TRL's trainers as judges: the same log-probabilities through their loss and ours, value and gradient, one negative.

Their own ``_compute_loss`` (DPO, KTO) and loss functions (CPO, SimPO, ORPO) run on a stand-in for the model that hands
them given log-probabilities of tokens. Written against TRL 1.16.0; another version may need another stand-in.
"""

from __future__ import annotations

import warnings
from collections import defaultdict
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from polo.testing import Case, context
from polo.testing.cases import case as make_case
from tests.contracts.components import choice, make

pytestmark = pytest.mark.oracle

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    trl = pytest.importorskip("trl", reason="the judge, trl, is not installed")
    from trl import DPOTrainer, KTOTrainer

BETA = 0.7


def one_negative(seed: int = 3) -> Case:
    one = make_case(6, 1, seed=seed, masked=False)
    return replace(one, beta=torch.full_like(one.beta, BETA))


def ours(name: str, one: Case, **options: Any) -> tuple[Tensor, Tensor]:
    """Mean loss and its gradient with respect to the log-probabilities ``[B, 2]``."""
    policy = one.scores.policy.clone().requires_grad_()
    head = make("loss", name, context(), **options)
    loss = head(replace(one.scores, policy=policy), one.keep, one.beta).mean()
    (slope,) = torch.autograd.grad(loss, policy)
    return loss.detach(), slope


def agree(mine: tuple[Tensor, Tensor], theirs: tuple[Tensor, Tensor], tolerance: float = 1e-9) -> None:
    for a, b in zip(mine, theirs, strict=True):
        assert torch.allclose(a, b.to(a.dtype), rtol=tolerance, atol=tolerance), (a, b)


def sequences(logp: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Token log-probabilities ``[N, L - 1]`` that sum to ``logp``, and the completion mask ``[N, L]``."""
    length = 2 + int(tokens.max())
    place = torch.arange(length)[None, :]
    mask = ((place >= 1) & (place <= tokens[:, None])).long()
    return torch.where(mask[:, 1:].bool(), (logp / tokens)[:, None], 0.0), mask


def trainer(**settings: Any) -> SimpleNamespace:
    """What the trainers' loss functions read of themselves."""
    same = SimpleNamespace(gather=lambda t: t, gather_for_metrics=lambda t: t, device=torch.device("cpu"))
    defaults = {
        "model": SimpleNamespace(training=False),
        "accelerator": same,
        "aux_loss_enabled": False,
        "ld_alpha": None,
        "precompute_ref_logps": True,
        "f_divergence_type": "reverse_kl",
        "loss_weights": [1.0],
        "beta": BETA,
        "label_smoothing": 0.0,
        "use_weighting": False,
        "args": SimpleNamespace(discopop_tau=0.05),
        "alpha": 0.0,
        "_metrics": defaultdict(lambda: defaultdict(list)),
        "_total_train_tokens": 0,
    }
    return SimpleNamespace(**{**defaults, **settings})


def dpo_trainer(kind: str, one: Case, **settings: Any) -> tuple[Tensor, Tensor]:
    policy = one.scores.policy.clone().requires_grad_()
    flat, tokens = policy.T.reshape(-1), one.scores.tokens.T.reshape(-1)  # chosen first, then rejected
    logps, mask = sequences(flat, tokens)

    def model(**_: Any) -> SimpleNamespace:
        zero = torch.zeros_like(logps)
        return SimpleNamespace(log_probs=logps, entropy=zero, mean_logits=zero, is_top1=zero.bool())

    inputs = {
        "input_ids": mask.clone(),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "ref_chosen_logps": one.scores.ref[:, 0],
        "ref_rejected_logps": one.scores.ref[:, 1],
    }
    loss = DPOTrainer._compute_loss(trainer(loss_types=[kind], **settings), model, inputs, return_outputs=False)
    (slope,) = torch.autograd.grad(loss, policy)
    return loss.detach(), slope


@pytest.mark.parametrize(
    ("kind", "settings", "name", "options"),
    [
        ("sigmoid", {}, "dpo", {}),
        ("sigmoid", {}, "dmpo", {}),
        ("sigmoid", {}, "sdpo", {}),
        ("hinge", {}, "hinge", {}),
        ("ipo", {}, "ipo", {"length": "mean"}),
        ("robust", {"label_smoothing": 0.2}, "robust_dpo", {"smoothing": 0.2}),
        ("exo_pair", {"label_smoothing": 1e-3}, "exo", {}),
        ("nca_pair", {}, "nca", {}),
        ("bco_pair", {}, "bco", {"shift": False}),
        ("sppo_hard", {}, "sppo", {}),
        ("apo_zero", {}, "apo_zero", {}),
        ("apo_down", {}, "apo_down", {}),
        ("discopop", {}, "discopop", {}),
    ],
)
def test_dpo_trainer(kind: str, settings: dict[str, Any], name: str, options: dict[str, Any]) -> None:
    one = one_negative()
    # exo: TRL holds its smoothing in float32
    agree(ours(name, one, **options), dpo_trainer(kind, one, **settings), 1e-6 if kind == "exo_pair" else 1e-9)


def test_dpo_trainer_with_a_likelihood_term_is_rpo() -> None:
    """TRL takes the mean over all tokens of the batch, we over rows: the same for titles of one length."""
    one = one_negative()
    one = replace(one, scores=replace(one.scores, tokens=torch.full_like(one.scores.tokens, 3)))
    first, second = dpo_trainer("sigmoid", one), dpo_trainer("sft", one)
    agree(ours("rpo", one, nll=0.5), (first[0] + 0.5 * second[0], first[1] + 0.5 * second[1]))
    agree(ours("sft", one), second)


def test_bco_without_a_shift_is_where_trl_stands_and_with_one_it_is_not() -> None:
    """TRL 1.x dropped the running mean reward of the paper; it is our default."""
    one = one_negative()
    assert not torch.allclose(ours("bco", one)[0], dpo_trainer("bco_pair", one)[0])


@pytest.mark.parametrize(("weights", "sign"), [((1.0, 1.0), 1.0), ((1.3, 0.6), 1.0), ((1.0, 1.0), -1.0)])
def test_kto_trainer(weights: tuple[float, float], sign: float) -> None:
    one = one_negative()
    other = sign * one.scores.mismatched.abs()  # a negative mean is clamped to 0
    one = replace(one, scores=replace(one.scores, mismatched=other))
    policy = one.scores.policy.clone().requires_grad_()
    b = len(policy)
    logps, mask = sequences(policy.T.reshape(-1), one.scores.tokens.T.reshape(-1))
    kl_logps, kl_mask = sequences(other, torch.full((b,), 2))

    def model(input_ids: Tensor, **_: Any) -> SimpleNamespace:
        of_kl = len(input_ids) == b
        zero = torch.zeros_like(kl_logps if of_kl else logps)
        return SimpleNamespace(
            log_probs=kl_logps if of_kl else logps, entropy=zero, mean_logits=zero, is_top1=zero.bool()
        )

    me = trainer(loss_type="kto", calculate_KL=True, desirable_weight=weights[0], undesirable_weight=weights[1])
    me._compute_kl_logps = lambda model, batch: KTOTrainer._compute_kl_logps(me, model, batch)
    inputs = {
        "input_ids": mask.clone(),
        "attention_mask": torch.ones_like(mask),
        "completion_mask": mask,
        "KL_input_ids": kl_mask.clone(),
        "KL_attention_mask": torch.ones_like(kl_mask),
        "KL_completion_mask": kl_mask,
        "label": torch.tensor([True] * b + [False] * b),
        "ref_logps": one.scores.ref.T.reshape(-1),
        "ref_KL_logps": torch.zeros(b, dtype=torch.float64),
    }
    loss = KTOTrainer._compute_loss(me, model, inputs, return_outputs=False)
    (slope,) = torch.autograd.grad(loss, policy)
    agree(ours("kto", one, desirable=weights[0], undesirable=weights[1]), (loss.detach(), slope))


def by_function(
    function: Any, one: Case, x: Tensor, policy: Tensor, extra: Tensor | float = 0.0
) -> tuple[Tensor, Tensor]:
    loss = function(x[:, 0], x[:, 1])[0].mean() + extra
    (slope,) = torch.autograd.grad(loss, policy)
    return loss.detach(), slope


def test_cpo_and_simpo_trainer() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.experimental.cpo import CPOTrainer
    one = one_negative()
    policy = one.scores.policy.clone().requires_grad_()
    cpo = trainer(loss_type="sigmoid")
    nll = -policy[:, 0].mean()
    mine = ours("cpo", one, nll=0.5)
    agree(mine, by_function(lambda a, b: CPOTrainer.cpo_loss(cpo, a, b), one, policy, policy, 0.5 * nll))
    policy = one.scores.policy.clone().requires_grad_()
    simpo = trainer(loss_type="simpo", simpo_gamma=0.9)
    mean = policy / one.scores.tokens
    agree(ours("simpo", one, gamma=0.9), by_function(lambda a, b: CPOTrainer.cpo_loss(simpo, a, b), one, mean, policy))


def test_orpo_trainer() -> None:
    """TRL returns beta log sigmoid(log odds ratio), which it subtracts, and computes it in float32."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from trl.experimental.orpo import ORPOTrainer
    one = one_negative()
    policy = one.scores.policy.clone().requires_grad_()
    mean = policy / one.scores.tokens
    nll = -mean[:, 0].mean()
    theirs = by_function(lambda a, b: [-ORPOTrainer.odds_ratio_loss(trainer(), a, b)[0]], one, mean, policy, nll)
    agree(ours("orpo", one), theirs, 1e-5)


def test_a_sum_of_heads_is_trls_list_of_loss_types() -> None:
    from polo_preference.options.losses import Term

    one = one_negative()
    of = (Term(loss=choice("loss", "dpo"), weight=1.0), Term(loss=choice("loss", "nca"), weight=0.25))
    first, second = dpo_trainer("sigmoid", one), dpo_trainer("nca_pair", one)
    agree(ours("sum", one, of=of), (first[0] + 0.25 * second[0], first[1] + 0.25 * second[1]))
