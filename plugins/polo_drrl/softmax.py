"""Softmax losses: sampled softmax, and its bilateral form."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from polo import Context, Scores
from polo_drrl.options import BslOptions, SoftmaxOptions
from polo_drrl.rewards import log_mean_exp, log_sum_exp, mean_kept, needs_of, rewards, same_user


class Softmax:
    """``L = log( [1 +] sum_j exp(beta_j (s_j - s_w)) )``, the sampled softmax loss; Wu et al., arXiv 2201.02327.

    beta is 1 / tau. The 1 is the chosen item itself; with ``positive: false`` it is left out, which makes the loss the
    robust optimisation over negatives that DrRL begins with (arXiv 2506.15120), and which can be negative.

    Example (both gaps 0: log 3, and log 2):
        >>> scores, ones = Scores.of(torch.zeros(1, 3)), torch.ones(1, 2)
        >>> with_and_without = [Softmax(SoftmaxOptions(positive=p), None) for p in (True, False)]
        >>> [round(head(scores, ones.bool(), ones).item(), 4) for head in with_and_without]
        [1.0986, 0.6931]
    """

    def __init__(self, options: SoftmaxOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        gap = rewards(scores, keep, beta, self._options).gap
        if not self._options.positive:
            return log_sum_exp(gap, keep)
        itself = keep.any(-1, keepdim=True)
        return log_sum_exp(torch.cat([gap.new_zeros(len(gap), 1), gap], dim=-1), torch.cat([itself, keep], dim=-1))


class Bsl:
    """``L = -log mean_i exp(w beta s_i) + w log mean_j exp(beta_j s_j)``, bilateral; Wu et al., arXiv 2312.12882.

    i runs over the rows of the batch that have the row's user (``positives: user``), or is the row alone. ``1 / beta``
    is the temperature of the negatives, w = ``ratio`` their temperature over that of the positives: with tau_1 for
    positives and tau_2 for negatives, ``beta = 1 / tau_2`` and ``w = tau_2 / tau_1``. w = 1 and one row: the softmax
    without the positive, less log n.

    Example (one row, w = 2, s_w = 1, negatives 0: -2 + 2 log 1):
        >>> scores, ones = Scores.of(torch.tensor([[1.0, 0.0, 0.0]])), torch.ones(1, 2)
        >>> Bsl(BslOptions(ratio=2.0), None)(scores, ones.bool(), ones).tolist()
        [-2.0]
    """

    def __init__(self, options: BslOptions, context: Context) -> None:
        self._options, self._shared = options, options.positives == "user"
        self.needs = needs_of(options, "whole_batch") if self._shared else needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair, w = rewards(scores, keep, beta, self._options), self._options.ratio
        chosen, some = w * mean_kept(pair.chosen, keep), keep.any(-1)
        if self._shared:
            chosen = log_mean_of_users(chosen, scores.users, some)
        return torch.where(some, w * log_mean_exp(pair.rejected, keep) - chosen, 0.0)


def log_mean_of_users(
    x: Float[Tensor, " b"], users: Int[Tensor, " b"], among: Bool[Tensor, " b"]
) -> Float[Tensor, " b"]:
    """``log mean_i exp(x_i)`` over the rows i that have the row's user and are ``among`` those that count.

    Example:
        >>> x, users = torch.tensor([1.0, 3.0, 7.0]), torch.tensor([4, 4, 5])
        >>> [round(v, 4) for v in log_mean_of_users(x, users, torch.tensor([True, True, True])).tolist()]
        [2.4338, 2.4338, 7.0]
    """
    same = same_user(users, among)
    with torch.no_grad():  # all rows of a user have one largest value, so each can be taken off before the sum
        top = torch.where(among, torch.where(same, x, -torch.inf).amax(-1), 0.0)
    share = same.to(x.dtype) / same.sum(-1, keepdim=True).clamp(min=1).to(x.dtype)
    mean = share @ torch.where(among, x - top, 0.0).exp()
    return torch.where(among, torch.where(among, mean, 1.0).log() + top, 0.0)
