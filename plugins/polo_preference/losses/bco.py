"""BCO: chosen and rejected titles classified against a running mean reward."""

from __future__ import annotations

from collections.abc import Mapping
from math import log
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import BcoOptions
from polo_preference.running import RunningMean
from polo_preference.tensors import REDUCE, mean_kept, pairs, softplus


class Bco:
    """``L_j = -log s(beta_j r_w - d) - log s(-(beta_j r_j - d))``, s the sigmoid; Jung et al., arXiv 2404.04656.

    d is the mean over the batches so far (this one included) of the mean reward ``beta r`` of chosen and rejected
    titles, without gradient; 0 with ``shift: false``, which is the pair form of TRL (``bco_pair``).
    """

    def __init__(self, options: BcoOptions, context: Context) -> None:
        self._shift, self._reduce, self._running = options.shift, REDUCE[options.pairs], RunningMean()
        self.needs: frozenset[Need] = frozenset(
            {"negatives", "reference", "whole_batch"} if options.shift else {"negatives", "reference"}
        )

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        chosen, rejected = pair.beta * pair.chosen, pair.beta * pair.rejected
        both = mean_kept((chosen + rejected).detach() / 2, keep).sum() / keep.any(-1).sum().clamp(min=1)
        shift = self._running.look(both) if self._shift else torch.zeros_like(both)
        return self._reduce(softplus(shift - chosen) + softplus(rejected - shift), keep)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return self._reduce(torch.full_like(beta, 2 * log(2)), keep)

    def after_step(self, step: int) -> None:
        self._running.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._running.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._running.load_state_dict(state)
