"""Iterative RPO: DPO with a likelihood term."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.losses.sft import nll
from polo_preference.options.losses import RpoOptions
from polo_preference.tensors import REDUCE, pairs, softplus, where_any


class Rpo:
    """``L_j = -log sigmoid(beta_j (r_w - r_j))``, plus ``nll * NLL_w``; Pang et al., arXiv 2404.19733.

    The likelihood is divided by the title's number of tokens, as in the paper, unless ``reduce: sequence``.
    """

    def __init__(self, options: RpoOptions, context: Context) -> None:
        self._nll, self._length, self._reduce = options.nll, options.reduce, REDUCE[options.pairs]
        self.needs: frozenset[Need] = frozenset(
            {"negatives", "reference", "logprob", "tokens"}
            if options.reduce == "token"
            else {"negatives", "reference", "logprob"}
        )

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = pairs(scores.log_ratio, keep, beta)
        preference = self._reduce(softplus(-pair.beta * pair.margin), keep)
        return where_any(preference + self._nll * nll(scores, self._length), keep)
