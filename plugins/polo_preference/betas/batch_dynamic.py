"""beta-DPO: beta follows the batch, and pairs with unusual margins leave it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, RowRandom, Scores
from polo_preference.noise import gumbel
from polo_preference.options.betas import BatchDynamicOptions
from polo_preference.running import RunningNorm
from polo_preference.tensors import pairs


class BatchDynamic:
    """``beta = max(floor, base (1 + alpha (mean D - M)))``, one number for the batch; Wu et al., arXiv 2407.08639.

    ``D_j = r_w - r_j`` are the margins of the batch's kept pairs; M and S their running mean and deviation over
    batches (this one included). Before the mean is taken, a ``share`` of the pairs is drawn without replacement with
    weights ``exp(-((D - M) / S)^2 / 2)``; a pair that is not drawn gets beta 0, which takes it out of the loss.
    """

    needs: frozenset[Need] = frozenset({"reference", "whole_batch"})

    def __init__(self, options: BatchDynamicOptions, context: Context) -> None:
        self._options, self._seed = options, context.seed
        self._running, self._steps = RunningNorm(options.momentum), 0

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], progress: float) -> Float[Tensor, "b k"]:
        o = self._options
        margin = pairs(scores.log_ratio, keep, torch.ones_like(keep, dtype=torch.float32)).margin.detach()
        mean, deviation = self._running.look(margin, keep)
        drawn = keep
        if o.share < 1:
            unusual = ((margin - mean) / deviation.clamp(min=1e-6)).double()
            noise = gumbel(RowRandom(self._seed, "batch_dynamic", self._steps), scores.rows, keep.shape[1])
            key = torch.where(keep, noise - 0.5 * unusual**2, -torch.inf)
            rank = key.flatten().argsort(descending=True, stable=True).argsort().reshape(key.shape)
            drawn = keep & (rank < (o.share * keep.sum()).floor().clamp(min=1))
        drift = torch.where(drawn, margin, 0.0).sum() / drawn.sum().clamp(min=1) - mean
        beta = (o.base * (1 + o.alpha * drift)).clamp(min=o.floor)
        return torch.where(drawn, beta, torch.where(keep, 0.0, o.base))

    def after_step(self, step: int) -> None:
        self._running.commit()
        self._steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self._steps, **self._running.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._steps = int(state["steps"])
        self._running.load_state_dict(state)
