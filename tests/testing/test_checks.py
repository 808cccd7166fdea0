"""The checks for plugin authors find what they are there to find."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.nn.functional import softplus

from polo import Draw, Rows, Scores
from polo.testing import check_beta, check_loss, check_sampler, small_splits


class Good:
    """A correct head, to be spoiled."""

    needs: frozenset[Any] = frozenset({"negatives", "reference"})

    def margins(self, scores: Scores, keep: Tensor) -> Tensor:
        policy = scores.policy if scores.policy.dtype == torch.float64 else scores.policy.float()
        ratio = policy - scores.ref.to(policy.dtype)
        return torch.where(keep, ratio[:, :1] - torch.where(keep, ratio[:, 1:], 0.0), 0.0)

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        pairs = torch.where(keep, softplus(-self.margins(scores, keep)), 0.0)
        return pairs.sum(-1) / keep.sum(-1).clamp(min=1)


def test_a_correct_head_passes() -> None:
    check_loss(Good())


class LooksAtAll(Good):
    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        return super().__call__(scores, scores.valid_rejected, beta)


class TimesMask(Good):
    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        ratio = scores.policy.double() - scores.ref
        return (softplus(ratio[:, 1:] - ratio[:, :1]) * keep).sum(-1) / keep.sum(-1).clamp(min=1)


class Overflows(Good):
    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        return torch.where(keep, (1 + (-self.margins(scores, keep)).exp()).log(), 0.0).sum(-1)


class EmptyRowsCost(Good):
    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        return super().__call__(scores, keep, beta) + 1.0


class LooksAtOtherRows(Good):
    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        losses = super().__call__(scores, keep, beta)
        return torch.where(keep.any(-1), losses - losses.mean().detach(), 0.0)


class MindsTheOrder(Good):
    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        weight = torch.arange(1, keep.shape[1] + 1)
        return torch.where(keep, weight * softplus(-self.margins(scores, keep)), 0.0).sum(-1)


class WrongAtZero(Good):
    def at_zero(self, keep: Tensor, beta: Tensor) -> Tensor:
        return keep.any(-1).to(beta.dtype)


class Remembers(Good):
    calls = 0

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        self.calls += 1
        return super().__call__(scores, keep, beta) * self.calls


@pytest.mark.parametrize(
    ("head", "law"),
    [
        (LooksAtAll(), "not kept|without kept"),
        (TimesMask(), "not kept|NaN|nan"),
        (Overflows(), "finite at margins"),
        (EmptyRowsCost(), "without kept negatives has loss 0"),
        (LooksAtOtherRows(), "depends on that row alone"),
        (MindsTheOrder(), "order of negatives"),
        (WrongAtZero(), "at_zero is the loss"),
        (Remembers(), "calling twice"),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, Good) else "",
)
def test_a_broken_head_is_told_its_law(head: Any, law: str) -> None:
    with pytest.raises(AssertionError, match=law):
        check_loss(head)


def test_a_beta_with_gradient_or_of_wrong_shape_is_found() -> None:
    with pytest.raises(AssertionError, match="no gradient"):
        check_beta(lambda scores, keep, progress: scores.rejected.float() * 0 + 1)
    with pytest.raises(AssertionError, match="a beta of each negative"):
        check_beta(lambda scores, keep, progress: torch.ones(len(keep)))
    with pytest.raises(AssertionError, match="at least 0"):
        check_beta(lambda scores, keep, progress: torch.full(keep.shape, -1.0))


class FirstItems:
    """Draws items 0 to 3, whatever the row."""

    def draw(self, rows: Rows, rng: Any, peek: Any) -> Draw:
        items = torch.arange(4).expand(len(rows), 4)
        return Draw(items, torch.ones(items.shape, dtype=torch.bool))

    def keep(self, scores: Scores, rng: Any, progress: float) -> Tensor:
        return torch.ones_like(scores.valid_rejected)


def test_a_sampler_that_draws_targets_or_known_items_is_found() -> None:
    with pytest.raises(AssertionError, match="no negative"):
        check_sampler(FirstItems(), small_splits())
