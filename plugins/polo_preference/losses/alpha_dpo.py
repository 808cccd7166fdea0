"""AlphaDPO: SimPO whose target margin follows the reference pair by pair."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import AlphaDpoOptions
from polo_preference.running import RunningNorm
from polo_preference.tensors import REDUCE, pairs, per_token, softplus


class AlphaDpo:
    """``L_j = -log sigmoid(beta_j (m_j - sg(gamma + alpha z_j)))``, ``m_j = lp_w / |y_w| - lp_j / |y_j|``.

    Wu et al., arXiv 2410.10148. ``z_j = (D_j - M) / S`` with D_j the margin of per-token log-ratios and M, S their
    running mean and deviation over batches (this batch included). alpha = 0 is SimPO with its gamma divided by beta.
    """

    needs: frozenset[Need] = frozenset({"negatives", "reference", "tokens", "whole_batch"})

    def __init__(self, options: AlphaDpoOptions, context: Context) -> None:
        self._gamma, self._alpha, self._reduce = options.gamma, options.alpha, REDUCE[options.pairs]
        self._running = RunningNorm(options.momentum)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        margin = pairs(per_token(scores.wide, scores.tokens), keep, beta).margin
        pair = pairs(per_token(scores.log_ratio, scores.tokens), keep, beta)
        drift = pair.margin.detach()
        mean, deviation = self._running.look(drift, keep)
        target = self._gamma + self._alpha * (drift - mean) / deviation.clamp(min=1e-6)
        return self._reduce(softplus(-pair.beta * (margin - target)), keep)

    def after_step(self, step: int) -> None:
        self._running.commit()

    def state_dict(self) -> dict[str, Any]:
        return self._running.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._running.load_state_dict(state)
