"""Losses of single scores and single pairs: BPR, binary cross-entropy, squared error, cosine contrastive loss."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import relu

from polo import Context, Scores
from polo_drrl.options import CclOptions, LossOptions
from polo_drrl.rewards import mean_kept, needs_of, rewards, softplus


class Bpr:
    """``L = mean_j log(1 + exp(beta_j (s_j - s_w)))``; Rendle et al., UAI 2009, arXiv 1205.2618.

    The paper has one negative. DPO is the same of log-ratios to a reference.

    Example (both gaps 0: log 2):
        >>> scores, ones = Scores.of(torch.zeros(1, 3)), torch.ones(1, 2)
        >>> round(Bpr(LossOptions(), None)(scores, ones.bool(), ones).item(), 4)
        0.6931
    """

    def __init__(self, options: LossOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return mean_kept(softplus(rewards(scores, keep, beta, self._options).gap), keep)


class Bce:
    """``L = mean_j 1/2 [ -log s(beta_j s_w) - log(1 - s(beta_j s_j)) ]``, s the sigmoid: chosen or not, each by itself.

    Binary cross-entropy over as many chosen as rejected scores, as He et al. train it (arXiv 1708.05031, eq. 7).

    Example (scores 0: log 2):
        >>> scores, one = Scores.of(torch.zeros(1, 2)), torch.ones(1, 1)
        >>> round(Bce(LossOptions(), None)(scores, one.bool(), one).item(), 4)
        0.6931
    """

    def __init__(self, options: LossOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = rewards(scores, keep, beta, self._options)
        return mean_kept(0.5 * (softplus(-pair.chosen) + softplus(pair.rejected)), keep)


class Mse:
    """``L = mean_j 1/2 [ (s(beta_j s_w) - 1)^2 + s(beta_j s_j)^2 ]``, s the sigmoid: squared error of the labels.

    The baseline of DrRL's public code (arXiv 2506.15120).

    Example (scores 0: 1/2 (1/4 + 1/4)):
        >>> scores, one = Scores.of(torch.zeros(1, 2)), torch.ones(1, 1)
        >>> Mse(LossOptions(), None)(scores, one.bool(), one).item()
        0.25
    """

    def __init__(self, options: LossOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = rewards(scores, keep, beta, self._options)
        return mean_kept(0.5 * (torch.sigmoid(-pair.chosen) ** 2 + torch.sigmoid(pair.rejected) ** 2), keep)


class Ccl:
    """``L = mean_j relu(1 - beta_j s_w) + w mean_j relu(beta_j s_j - m)``; SimpleX, arXiv 2109.12613, eq. 1.

    Made for cosines: the first term ends at 1, m in [0, 1). DrRL with order infinity and all thresholds at m is this
    plus m.

    Example (s_w = 0.5, negatives 0.9 and 0.2, m = 0.7, w = 2: 0.5 + 2 (0.2 + 0) / 2 = 0.7):
        >>> scores, ones = Scores.of(torch.tensor([[0.5, 0.9, 0.2]])), torch.ones(1, 2)
        >>> round(Ccl(CclOptions(weight=2.0), None)(scores, ones.bool(), ones).item(), 4)
        0.7
    """

    def __init__(self, options: CclOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        o, pair = self._options, rewards(scores, keep, beta, self._options)
        return mean_kept(relu(1 - pair.chosen) + o.weight * relu(pair.rejected - o.margin), keep)
