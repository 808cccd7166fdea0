"""The collapse monitor: its figures by hand, when it warns, and that looking changes nothing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polo.model.reference import Reference, ScoreCache
from polo.model.weights import snapshot
from polo.protocols import Ranked
from polo.train.monitor import Monitor
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.toy_objective import FirstK
from tests.toy_policy import ToyPolicy, toy_rows
from tests.train.jobs import Remembering


class Logistic:
    """sum over kept negatives of log(1 + exp(s_negative - s_chosen)): gradient sigmoid(s_negative - s_chosen)."""

    needs: frozenset[str] = frozenset({"negatives"})

    def __call__(self, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
        each = torch.nn.functional.softplus(scores.rejected - scores.chosen[:, None])
        return torch.where(keep, each, 0.0).sum(dim=1)


def monitor(loss: Any, remedies: Sequence[str] = ()) -> tuple[Monitor, Any]:
    policy, rows = ToyPolicy(), toy_rows(12, candidates=6)
    objective = Objective(loss=loss, sampler=FirstK(), beta=None, reference=None)
    stepper = Stepper(policy, objective, Accelerator(cpu=True), 1000, (0, "prefer"))
    return Monitor(policy, objective, stepper, rows, remedies), rows


@settings(max_examples=20)
@given(st.integers(0, 1000))
def test_law_gradient_shares_are_those_of_the_formula(seed: int) -> None:
    watch, rows = monitor(Logistic())
    scores = np.random.default_rng(seed).normal(scale=4, size=rows.candidates.shape)
    ranked = Ranked.of(rows, scores)
    found = watch.look(scores, ranked.truth, 0.0)
    gap = scores - np.take_along_axis(scores, ranked.truth[:, None], axis=1)
    negative = np.arange(6) != ranked.truth[:, None]
    pull, near = (1 / (1 + np.exp(-gap)))[negative], (gap >= -np.log(9))[negative]
    assert found["valid/boundary"] == pytest.approx(near.mean())
    assert found["valid/gradient_boundary"] == pytest.approx(pull[near].sum() / pull.sum(), rel=1e-4)
    assert found["valid/gradient_boundary"] + found["valid/gradient_easy"] == pytest.approx(1)
    assert found["valid/loss"] == pytest.approx(np.log1p(np.exp(gap))[negative].sum() / 12, rel=1e-4)


def test_log_ratios_of_chosen_and_rejected_stand_apart() -> None:
    """Means over the targets and over all other items of score minus the same policy's frozen one; a token each."""
    policy, rows = ToyPolicy(), toy_rows(12, candidates=6)
    frozen = Reference(policy, snapshot(policy.module), ScoreCache(None, {}, print), 1000)
    objective = Objective(loss=Logistic(), sampler=FirstK(), beta=None, reference=frozen)
    watch = Monitor(policy, objective, Stepper(policy, objective, Accelerator(cpu=True), 1000, (0, "p")), rows)
    items = torch.from_numpy(rows.candidates)
    scores = policy.score(rows, items).detach().double().numpy() + np.arange(6) / 8
    ranked = Ranked.of(rows, scores)
    found = watch.look(scores, ranked.truth, 0.0)
    added, own = np.broadcast_to(np.arange(6) / 8, scores.shape), np.arange(6) == ranked.truth[:, None]
    assert found["valid/log_ratio/chosen"] == pytest.approx(added[own].mean(), abs=1e-5)
    assert found["valid/log_ratio/rejected/mean"] == pytest.approx(added[~own].mean(), abs=1e-5)


def test_looking_costs_no_forward_and_moves_no_state() -> None:
    head = Remembering()
    watch, rows = monitor(head)
    watch.look(np.zeros(rows.candidates.shape), np.zeros(12, np.int64), 0.0)
    assert (head.calls, float(head.mean)) == (0, 0.0)
    assert watch._policy.forwards == 0


HITS = np.repeat([1.0, 0.0], [60, 40])


@pytest.mark.parametrize(
    ("hits", "loss", "warned"),
    [
        (np.repeat([1.0, 0.0], [30, 70]), 0.2, True),  # loss down, hits down
        (np.repeat([1.0, 0.0], [30, 70]), 0.9, False),  # both worse: no collapse but bad luck
        (np.repeat([1.0, 0.0], [59, 41]), 0.2, False),  # one row of a hundred is noise
        (np.repeat([1.0, 0.0], [70, 30]), 0.2, False),  # better
        (np.repeat([1.0, 0.0], [30, 70]), None, False),  # a stage without negatives
    ],
)
def test_it_warns_where_the_loss_falls_while_hits_fall(hits: np.ndarray, loss: float | None, warned: bool) -> None:
    watch, _ = monitor(Logistic())
    assert watch.collapse(0, HITS, 0.7) is None
    said = watch.collapse(10, hits, loss)
    assert (said is not None) == warned
    assert [words in (said or "") for words in ("preference optimisation collapse", "0.600 to 0.300")] == [warned] * 2


@pytest.mark.parametrize(
    ("remedies", "ending"),
    [
        ([], "lower the learning rate, or raise beta"),
        (
            ["sampler: a", "beta: b"],
            "lower the learning rate, raise beta, train with sampler: a, or train with beta: b",
        ),
    ],
)
def test_the_warning_says_what_components_are_made_against_it(remedies: list[str], ending: str) -> None:
    watch, _ = monitor(Logistic(), remedies)
    watch.collapse(0, HITS, 0.7)
    assert (watch.collapse(10, np.repeat([1.0, 0.0], [30, 70]), 0.2) or "").endswith(ending)


def test_a_stage_that_only_wavers_is_seldom_called_a_collapse() -> None:
    """Eleven looks at 400 rows whose true hit ratio stays where it is: about one stage in twenty, not every second."""
    called = 0
    for seed in range(200):
        rng = np.random.default_rng(seed)
        watch, _ = monitor(Logistic())
        start = (rng.random(400) < 0.6).astype(float)
        told = False
        for look in range(11):
            hits = np.where(rng.random(400) < 0.1, rng.random(400) < 0.6, start).astype(float)
            told |= watch.collapse(look, hits, 1 - look / 20) is not None
        called += told
    assert called <= 20


def test_the_best_point_is_remembered_in_a_checkpoint() -> None:
    """A stage that goes on warns against the best point of all its steps, not of those since it went on."""
    watch, _ = monitor(Logistic())
    assert watch.state_dict() == {}
    assert watch.collapse(3, HITS, 0.7) is None
    resumed, _ = monitor(Logistic())
    resumed.load_state_dict(watch.state_dict())
    said = resumed.collapse(10, np.repeat([1.0, 0.0], [30, 70]), 0.2)
    assert said == watch.collapse(10, np.repeat([1.0, 0.0], [30, 70]), 0.2)
    assert said is not None
    assert "since step 3" in said
