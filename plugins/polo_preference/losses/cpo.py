"""CPO: DPO against a uniform reference, with a likelihood term."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.losses.sft import nll
from polo_preference.options.losses import CpoOptions
from polo_preference.tensors import REDUCE, pairs, softplus, where_any


class Cpo:
    """``L_j = -log sigmoid(beta_j (lp_w - lp_j))``, plus ``nll * NLL_w``; Xu et al., eq. 3, arXiv 2401.08417.

    No reference. The likelihood is that of the whole title, as in the paper, unless ``reduce: token``.
    """

    def __init__(self, options: CpoOptions, context: Context) -> None:
        self._nll, self._length, self._reduce = options.nll, options.reduce, REDUCE[options.pairs]
        self.needs: frozenset[Need] = frozenset(
            {"negatives", "logprob", "tokens"} if options.reduce == "token" else {"negatives", "logprob"}
        )

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.wide, keep, beta)
        preference = self._reduce(softplus(-pair.beta * pair.margin), keep)
        return where_any(preference + self._nll * nll(scores, self._length), keep)
