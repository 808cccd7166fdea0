"""AdvInfoNCE: a softmax whose negatives are weighted by an adversary that is trained against it."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Scores, seed_of
from polo_drrl.adam import Adam
from polo_drrl.options import AdvInfonceOptions
from polo_drrl.rewards import log_sum_exp, needs_of, rewards, softplus
from polo_drrl.users import splits_of


class AdvInfonce:
    """``L = log(1 + w n sum_j P_j exp(beta_j (s_j - s_w)))``; Zhang et al., arXiv 2310.18700.

    n kept negatives, ``P = softmax_j cos(g_u, h_j)`` with vectors g of users and h of items that are trained to make L
    large, by Adam, when the model has moved (``every``, in steps). In the public codes the two take turns by epochs. An
    adversary that tells nothing apart gives the softmax with w times its negatives.
    """

    def __init__(self, options: AdvInfonceOptions, context: Context) -> None:
        splits = splits_of(context)
        self._options, self._users = options, splits.n_users
        self.needs = needs_of(options, "whole_batch")
        generator = torch.Generator().manual_seed(seed_of(context.seed, "adv_infonce"))
        vectors = torch.randn(splits.n_users + len(splits.items), options.width, generator=generator)
        self._own = Adam(vectors, options.lr)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        gap, own = rewards(scores, keep, beta, self._options).gap, self._own.on(scores.policy.device)
        with torch.enable_grad():
            hardness = self._hardness(scores, keep, own).to(gap.dtype)
            mean = self._loss(gap.detach(), hardness, keep).sum() / keep.any(-1).sum().clamp(min=1)
            (gradient,) = torch.autograd.grad(mean, own)
        self._own.propose(-gradient)  # uphill
        return self._loss(gap, hardness.detach(), keep)

    def _hardness(self, scores: Scores, keep: Bool[Tensor, "b k"], own: Float[Tensor, "n d"]) -> Float[Tensor, "b k"]:
        """``log P_j``; 0 where not kept."""
        unit = own / own.norm(dim=-1, keepdim=True).clamp(min=1e-12)
        users, items = unit[scores.users], unit[self._users + torch.where(keep, scores.items[:, 1:], 0)]
        cosine = torch.linalg.vecdot(users[:, None], items)
        return torch.where(keep, cosine - log_sum_exp(cosine, keep)[:, None], 0.0)

    def _loss(
        self, gap: Float[Tensor, "b k"], hardness: Float[Tensor, "b k"], keep: Bool[Tensor, "b k"]
    ) -> Float[Tensor, " b"]:
        weight = keep.sum(-1).clamp(min=1).to(gap.dtype).log() + log(self._options.weight)
        return torch.where(keep.any(-1), softplus(weight + log_sum_exp(gap + hardness, keep)), 0.0)

    def after_step(self, step: int) -> None:
        if (step + 1) % self._options.every == 0:
            self._own.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._own.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._own.load_state_dict(state)
