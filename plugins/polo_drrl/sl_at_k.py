"""SL@K: a softmax whose rows count by how near the chosen item is to the user's first K."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Scores
from polo_drrl.options import SlAtKOptions
from polo_drrl.rewards import log_sum_exp, needs_of, rewards, same_user, unscaled
from polo_drrl.users import PerUser, splits_of


class SlAtK:
    """``L = s((s_w - q_u) / tau_w) log sum_j exp(beta_j (s_j - s_w))``, s the sigmoid; SL@K, arXiv 2508.05673.

    q_u estimates the user's K-th highest score; 0 at first, and after a step the K-th highest of a row's chosen and
    kept negatives (their lowest where there are fewer), averaged over the user's rows in the batch. The public code has
    all of a user's positives in it, and estimates anew only every 20 epochs (``every``, in steps here); like there,
    with few negatives q_u is too low. The weight is in units of the score, not scaled by beta.

    Example (q_u = 0, s_w = 0: half of log 2):
        >>> from polo.testing import context, small_splits
        >>> head = SlAtK(SlAtKOptions(), context(splits=small_splits()))
        >>> scores, ones = Scores.of(torch.zeros(1, 3)), torch.ones(1, 2)
        >>> round(head(scores, ones.bool(), ones).item(), 4)
        0.3466
    """

    def __init__(self, options: SlAtKOptions, context: Context) -> None:
        self._options, self._quantiles = options, PerUser(splits_of(context).n_users, 0.0)
        self.needs = needs_of(options, "whole_batch")

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        o, some, x = self._options, keep.any(-1), unscaled(scores, self._options)
        chosen = torch.where(some, x[:, 0], 0.0)
        weight = torch.sigmoid((chosen - self._quantiles.now(scores.users).to(x.dtype)) / o.weight_temperature)
        seen = torch.cat([chosen[:, None], torch.where(keep, x[:, 1:], -torch.inf)], dim=-1).detach()
        place = keep.sum(-1, keepdim=True).clamp(max=o.k - 1)
        kth = seen.sort(dim=-1, descending=True).values.gather(1, place)[:, 0]
        among = same_user(scores.users, some).to(x.dtype)
        mean = (among @ kth) / among.sum(-1).clamp(min=1)
        self._quantiles.propose(scores.users[some], mean[some])
        return (weight.detach() if o.detach else weight) * log_sum_exp(rewards(scores, keep, beta, o).gap, keep)

    def after_step(self, step: int) -> None:
        if (step + 1) % self._options.every == 0:
            self._quantiles.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._quantiles.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._quantiles.load_state_dict(state)
