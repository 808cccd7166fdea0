"""KTO: each title judged by itself against the mean divergence from the reference."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor, sigmoid

from polo import Context, Need, PoloError, Scores
from polo_preference.options.losses import KtoOptions
from polo_preference.tensors import mean_kept, pairs, where_any


class Kto:
    """``L = 1/2 [ w_d (1 - s(b (r_w - KL))) + mean_j w_u (1 - s(beta_j (KL - r_j))) ]``, s the sigmoid.

    Ethayarajh et al., eq. 7, arXiv 2402.01306. ``KL = max(0, mean over the batch of the mismatched log-ratios)``,
    without gradient; b is the mean of the row's beta_j. The half and the mean over negatives give the chosen and the
    rejected side equal weight at any number of negatives; with one negative it is the mean over 2 B examples.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference", "mismatched", "whole_batch"})

    def __init__(self, options: KtoOptions, context: Context) -> None:
        self._desirable, self._undesirable = options.desirable, options.undesirable

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        if scores.mismatched is None:
            raise PoloError("`kto` was given no mismatched pairs", where="loss", fix="call it through a stage")
        ratio = scores.log_ratio
        divergence = scores.mismatched.detach().to(ratio.dtype).mean().clamp(min=0)
        pair = pairs(ratio, keep, beta)
        strength = mean_kept(pair.beta, keep)
        chosen = torch.where(keep.any(-1), ratio[:, 0], 0.0)
        up = self._desirable * sigmoid(-strength * (chosen - divergence))
        down = self._undesirable * sigmoid(-pair.beta * (divergence - pair.rejected))
        return where_any(0.5 * (up + mean_kept(down, keep)), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        half = 0.25 * (self._desirable + self._undesirable)
        return torch.where(keep.any(-1), half, 0.0).to(beta.dtype)
