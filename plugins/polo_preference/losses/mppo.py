"""MPPO: probabilities as rewards, no reference."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import MppoOptions
from polo_preference.tensors import pairs, per_token, softplus, sum_kept, where_any


class Mppo:
    """``L = -log sigmoid(sum_j beta_j (p_w - p_j))`` with p the probability of a title, no reference.

    MPPO, arXiv 2412.15244, in the form that DynamicPO trains (arXiv 2605.00327): the *sum* over the kept negatives,
    not their mean, and ``p = exp(sum of log-probs)`` (``length: sum``). ``length: mean`` takes the geometric mean per
    token, ``p = exp(mean log-prob)``: nearer to the average likelihood of MPPO's own text, and it does not vanish for
    long titles.

    Example (p = 1/2 and 1/4: softplus(-1/4) = 0.5759):
        >>> import torch
        >>> scores = Scores.of(torch.tensor([[0.5, 0.25]]).log())
        >>> one = torch.ones(1, 1)
        >>> [round(v, 4) for v in Mppo(MppoOptions(), None)(scores, one.bool(), one).tolist()]
        [0.5759]
    """

    def __init__(self, options: MppoOptions, context: Context) -> None:
        self._per_token = options.length == "mean"
        self.needs: frozenset[Need] = frozenset(
            {"negatives", "logprob", "tokens"} if self._per_token else {"negatives", "logprob"}
        )

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        policy = scores.wide
        log_p = per_token(policy, scores.tokens) if self._per_token else policy
        pair = pairs(log_p, keep, beta)
        # a log-probability is at most 0 but for rounding, and exp must not overflow
        gap = pair.chosen.clamp(max=0).exp() - pair.rejected.clamp(max=0).exp()
        return where_any(softplus(-sum_kept(pair.beta * gap, keep)), keep)
