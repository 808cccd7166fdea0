"""What the recommender losses compare: the scaled scores of the chosen item and of its negatives.

One rule for all of them: a score that is compared with negative j is multiplied by beta_j, so beta is 1 / temperature.
Knows dtypes, masks and reductions. What is not kept is 0 before anything is computed with it, so its gradient is 0.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import logsigmoid

from polo import Need, Scores
from polo_drrl.options import LossOptions


class Rewards(NamedTuple):
    """Rewards ``[B, K]``: beta_j times the score of the chosen item, and of negative j; 0 where j is not kept."""

    chosen: Float[Tensor, "b k"]
    rejected: Float[Tensor, "b k"]
    keep: Bool[Tensor, "b k"]

    @property
    def gap(self) -> Float[Tensor, "b k"]:
        """``d_j = rejected_j - chosen``: positive where the order is wrong."""
        return self.rejected - self.chosen


def needs_of(options: LossOptions, *more: Need) -> frozenset[Need]:
    """What a head needs that compares scores, or log-ratios to the reference."""
    return frozenset({"negatives", *more} | ({"reference"} if options.reward == "log_ratio" else set()))


def unscaled(scores: Scores, options: LossOptions) -> Float[Tensor, "b n"]:
    """Scores or log-ratios ``[B, 1+K]`` in at least float32, not scaled by beta; also of what is not kept."""
    return scores.wide if options.reward == "score" else scores.log_ratio


def rewards(scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"], options: LossOptions) -> Rewards:
    """The pairs of each row.

    Example:
        >>> pair = rewards(
        ...     Scores.of(torch.tensor([[0.5, 1.0, float("nan")]])), torch.tensor([[True, False]]),
        ...     torch.full((1, 2), 2.0), LossOptions(),
        ... )
        >>> pair.chosen.tolist(), pair.rejected.tolist(), pair.gap.tolist()
        ([[1.0, 0.0]], [[2.0, 0.0]], [[1.0, 0.0]])
    """
    x = unscaled(scores, options)
    scale = torch.where(keep, beta.to(x.dtype), 0.0)
    return Rewards(torch.where(keep, x[:, :1], 0.0) * scale, torch.where(keep, x[:, 1:], 0.0) * scale, keep)


def softplus(x: Tensor) -> Tensor:
    """``log(1 + exp(x))``, exact at both ends."""
    return -logsigmoid(-x)


def mean_kept(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """Mean over the kept negatives; 0 for a row that keeps none."""
    return torch.where(keep, x, 0.0).sum(-1) / keep.sum(-1).clamp(min=1)


def log_sum_exp(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """``log sum_j exp(x_j)`` over the kept j; 0, without gradient, for a row that keeps none."""
    if x.shape[-1] == 0:
        return x.sum(-1)
    some = keep.any(-1, keepdim=True)
    return torch.where(some[:, 0], torch.where(some, torch.where(keep, x, -torch.inf), 0.0).logsumexp(-1), 0.0)


def log_mean_exp(x: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]) -> Float[Tensor, " b"]:
    """``log mean_j exp(x_j)`` over the kept j; 0 for a row that keeps none."""
    return log_sum_exp(x, keep) - keep.sum(-1).clamp(min=1).to(x.dtype).log()


def sum_of_user(x: Float[Tensor, " b"], users: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
    """For each row the sum over all rows of its user, one after the other; the same on every device.

    Example:
        >>> sum_of_user(torch.tensor([1.0, 2.0, 4.0]), torch.tensor([8, 5, 8])).tolist()
        [5.0, 2.0, 5.0]
    """
    together, order = users.sort(stable=True)
    _, number, counts = torch.unique_consecutive(together, return_inverse=True, return_counts=True)
    sums = torch.segment_reduce(x[order], "sum", lengths=counts)
    return torch.empty_like(x).index_put((order,), sums[number])


def same_user(users: Int[Tensor, " b"], among: Bool[Tensor, " b"]) -> Bool[Tensor, "b b"]:
    """Which rows of a batch belong to the user of row i and count; sums over it are the same on every device."""
    return (users[:, None] == users[None, :]) & among[None, :]
