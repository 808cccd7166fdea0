"""SimPO: length-normalised and without a reference."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import SimpoOptions
from polo_preference.tensors import REDUCE, pairs, per_token, softplus


class Simpo:
    """``L_j = -log sigmoid(beta_j (lp_w / |y_w| - lp_j / |y_j|) - gamma)``; Meng et al., eq. 6, arXiv 2405.14734."""

    needs: frozenset[Need] = frozenset({"negatives", "tokens"})

    def __init__(self, options: SimpoOptions, context: Context) -> None:
        self._gamma, self._reduce = options.gamma, REDUCE[options.pairs]

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(per_token(scores.wide, scores.tokens), keep, beta)
        return self._reduce(softplus(self._gamma - pair.beta * pair.margin), keep)
