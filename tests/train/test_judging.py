"""What a step makes of a batch: who counts, what a beta of 0 means, whose score a mismatched pair is, what is named."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch import Tensor

from polo.errors import PoloError
from polo.model.passes import passes
from polo.scores import Scores
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.toy_objective import Centred, FirstK, Pairs
from tests.toy_policy import ToyPolicy, toy_rows


def stepper(policy: ToyPolicy, loss: Any, beta: Any = None, budget: int = 10**6, reference: Any = None) -> Stepper:
    objective = Objective(loss=loss, sampler=FirstK(), beta=beta, reference=reference)
    return Stepper(policy, objective, Accelerator(cpu=True), budget, (0, "test"))


def gradient(policy: ToyPolicy, made: Stepper, n: int = 9) -> list[Tensor]:
    policy.module.zero_grad()
    made.backward(toy_rows(n), 0, 0, 0.0)
    return [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in policy.module.parameters()]


@dataclass
class Watching:
    """Pairs, and what they were called with."""

    needs: frozenset[str] = frozenset({"negatives"})
    seen: list[tuple[Scores, Tensor, Tensor]] = field(default_factory=list)

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        self.seen.append((scores, keep, beta))
        return Pairs()(scores, keep, beta)


@dataclass(frozen=True)
class Likely:
    """The chosen item alone."""

    needs: frozenset[str] = frozenset()

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        return -scores.policy[:, 0]


def test_law_a_beta_of_0_takes_a_pair_out_of_the_loss_and_a_row_of_them_out_of_the_mean() -> None:
    def beta(scores: Scores, keep: Tensor, progress: float) -> Tensor:
        out = torch.ones_like(scores.rejected)
        return torch.where((scores.rows % 2 == 0)[:, None], 0.0, out)

    watching = Watching()
    made = stepper(ToyPolicy(), watching, beta)
    (judged,) = made.backward(toy_rows(9), 0, 0, 0.0)
    even = judged.scores.rows % 2 == 0
    assert not judged.keep[even].any()
    assert not judged.counted[even].any()
    assert torch.equal(judged.counted, judged.keep.any(dim=1))
    assert judged.counted.any()


def test_law_a_batch_in_which_no_row_counts_moves_nothing() -> None:
    policy = ToyPolicy()
    made = stepper(policy, Pairs(), lambda scores, keep, progress: torch.zeros_like(scores.rejected))
    assert all(torch.equal(g, torch.zeros_like(g)) for g in gradient(policy, made))


def test_without_a_beta_every_pair_has_1_and_without_a_sampler_every_row_counts() -> None:
    watching = Watching()
    stepper(ToyPolicy(), watching).backward(toy_rows(9), 0, 0, 0.0)
    ((_, _, beta),) = watching.seen
    assert torch.equal(beta, torch.ones_like(beta))
    objective = Objective(loss=Likely(), sampler=None, beta=None, reference=None)
    policy, rows = ToyPolicy(), toy_rows(7)
    (judged,) = Stepper(policy, objective, Accelerator(cpu=True), 10**6, (0, "test")).backward(rows, 0, 0, 0.0)
    assert judged.counted.tolist() == [True] * 7
    assert sorted(judged.scores.rows.tolist()) == list(range(7))
    assert torch.equal(judged.scores.items, torch.from_numpy(rows.target)[judged.scores.rows][:, None])
    loss = -policy.module(torch.from_numpy(rows.history), torch.from_numpy(rows.target)[:, None]).mean()
    parameters = list(policy.module.parameters())
    for p, expected in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
        torch.testing.assert_close(p.grad, expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("row", "budget"), [(4, 50), (4, 10**6), (1, 50)])
def test_a_loss_that_is_not_finite_names_the_first_row_of_it(row: int, budget: int) -> None:
    class Bad(Pairs):
        def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
            return torch.where(scores.rows == row, torch.nan, super().__call__(scores, keep, beta))

    rows = toy_rows(9)
    where = f"row {row}, user {rows.user[row]}, item {rows.target[row]}"
    with pytest.raises(PoloError, match="the loss is nan") as caught:
        stepper(ToyPolicy(), Bad(), budget=budget).backward(rows, 0, 0, 0.0)
    assert caught.value.where == where


class Mismatched(Watching):
    """Is given mismatched pairs."""

    def __init__(self) -> None:
        super().__init__(needs=frozenset({"negatives", "whole_batch", "mismatched"}))


class Half:
    """A reference of half the policy's scores."""

    def __init__(self, policy: ToyPolicy) -> None:
        self.policy = policy

    def score(self, rows: Any, items: Tensor) -> Tensor:
        with torch.no_grad():
            return self.policy.score(rows, items) / 2


@pytest.mark.parametrize("budget", [30, 10**6])
def test_law_a_mismatched_pair_is_the_next_rows_target_under_this_rows_prompt(budget: int) -> None:
    policy, rows = ToyPolicy(), toy_rows(6)
    next_target = torch.from_numpy(np.concatenate([rows.target[1:], rows.target[:1]]))[:, None]
    with torch.no_grad():
        expected = policy.score(rows, next_target)[:, 0]
    for reference, share in ((None, 1.0), (Half(policy), 0.5)):
        loss = Mismatched()
        stepper(policy, loss, budget=budget, reference=reference).backward(rows, 0, 0, 0.0)
        ((scores, _, _),) = loss.seen
        assert scores.mismatched is not None
        torch.testing.assert_close(scores.mismatched, expected * share)


def test_a_whole_batch_in_one_pass_is_computed_once_and_in_more_passes_twice() -> None:
    rows = toy_rows(9)
    for budget in (10**6, 60):
        policy = ToyPolicy()
        stepper(policy, Centred(), budget=budget).backward(rows, 0, 0, 0.0)
        n = len(passes(policy.cost(rows, 5), budget))
        assert policy.forwards == (1 if n == 1 else 2 * n)


def test_law_a_pass_is_as_full_as_its_budget_allows_and_the_costliest_rows_come_first() -> None:
    cost = np.array([3, 9, 4, 4, 6, 2, 2])
    groups = passes(cost, 10)
    assert [cost[group].tolist() for group in groups] == [[9], [6, 4], [4, 3, 2], [2]]
    assert groups[1].tolist() == [4, 2], "rows of equal cost keep their order"


def test_given_scores_are_judged_as_a_step_would_judge_them() -> None:
    policy, rows = ToyPolicy(), toy_rows(6)
    made = stepper(policy, Pairs())
    draw = made.draw(rows, 0)
    items = torch.cat([torch.from_numpy(rows.target)[:, None], draw.items], dim=1)
    scores = policy.score(rows, items)
    found = made.judged_at(rows, draw, scores, torch.zeros_like(scores))
    expected = Pairs()(Scores.of(scores.detach(), ref=torch.zeros_like(scores)), draw.valid, torch.ones(6, 4))
    torch.testing.assert_close(found.loss, expected)
    assert found.counted.tolist() == [i % 3 != 0 for i in range(6)]
    assert not found.loss.requires_grad
    assert found.scores.rows.tolist() == list(range(6))


def test_given_scores_have_mismatched_pairs_where_the_loss_asks_for_them() -> None:
    """Of 0 each, as policy and reference are the same there."""
    policy, rows, loss = ToyPolicy(), toy_rows(6), Mismatched()
    made = stepper(policy, loss)
    scores = torch.zeros(6, 5, dtype=torch.float64)
    made.judged_at(rows, made.draw(rows, 0), scores, scores)
    assert loss.seen[-1][0].mismatched is not None
    assert loss.seen[-1][0].mismatched.tolist() == [0.0] * 6
