"""The linear preference losses: the distance of a margin from its target, in four forms.

All have constant gradients: unlike a logistic loss they neither fade nor blow up, and above the target they turn round.
x is the log-ratio ``log p / p_ref`` of a title (per token by default), ``off = 1 / (2 beta)``.
"""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_lpo.options import LinearOptions, LpoOptions
from polo_lpo.pairs import constant, linear_pairs, row_loss


def needs_of(options: LinearOptions) -> frozenset[Need]:
    """Tokens are needed for log-ratios per token."""
    return frozenset({"negatives", "reference", "tokens"} if options.length == "mean" else {"negatives", "reference"})


class Lpo:
    """``2 beta 2/(r1+r2) [ r1 |x_w - sg(x_j) - off| + r2 |sg(x_w) - x_j - off| ] + lambda max(0, -x_w)``.

    LPO, arXiv 2508.14947, the released ``lpo-ste``; sg stops gradients, lambda is ``regulariser``. Its value is that of
    ``lpo_plain``; its gradients move the chosen title with speed ``4 beta r1/(r1+r2)`` and the rejected one with
    ``4 beta r2/(r1+r2)``, towards the margin ``off`` from both sides.

    Example (margin 0, off 2.5, beta 0.2: 4 beta off = 2):
        >>> scores = Scores.of(torch.zeros(1, 2), ref=torch.zeros(1, 2))
        >>> beta = torch.full((1, 1), 0.2)
        >>> round(Lpo(LpoOptions(), None)(scores, scores.valid_rejected, beta).item(), 4)
        2.0
    """

    def __init__(self, options: LpoOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        o = self._options
        pair = linear_pairs(scores, keep, beta, o)
        chosen = o.r1 * (pair.chosen - pair.rejected.detach() - pair.offset).abs()
        rejected = o.r2 * (pair.chosen.detach() - pair.rejected - pair.offset).abs()
        return row_loss(pair, 4 * pair.beta / (o.r1 + o.r2) * (chosen + rejected), o)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return constant(keep, beta, 2.0)


class LpoPlain:
    """``4 beta |x_w - x_j - off| + lambda max(0, -x_w)``; the released ``lpo``, arXiv 2508.14947."""

    def __init__(self, options: LinearOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = linear_pairs(scores, keep, beta, self._options)
        distance = (pair.chosen - pair.rejected - pair.offset).abs()
        return row_loss(pair, 4 * pair.beta * distance, self._options)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return constant(keep, beta, 2.0)


class LpoR:
    """``4 beta |r1 x_w - r2 x_j - off| + lambda max(0, -x_w)``; the released ``lpo-r``, arXiv 2508.14947.

    The speeds stand inside the distance: unless r1 = r2 = 1 a shift of both log-ratios changes the loss.
    """

    def __init__(self, options: LpoOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        o = self._options
        pair = linear_pairs(scores, keep, beta, o)
        distance = (o.r1 * pair.chosen - o.r2 * pair.rejected - pair.offset).abs()
        return row_loss(pair, 4 * pair.beta * distance, o)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return constant(keep, beta, 2.0)


class LpoDynamic:
    """``lpo`` with ``r1 = 1`` and ``r2 = sg(exp(x_j - x_w))``; the released ``lpo-ste-dynamic``, arXiv 2508.14947.

    A rejected title that has become likely against the chosen one is pushed down faster. The speeds r1/(r1+r2) and
    r2/(r1+r2) are the sigmoids of the margin and of its negative, which stay finite where exp does not.
    """

    def __init__(self, options: LinearOptions, context: Context) -> None:
        self._options, self.needs = options, needs_of(options)

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        pair = linear_pairs(scores, keep, beta, self._options)
        d = (pair.rejected - pair.chosen).detach()  # log r2
        chosen = torch.sigmoid(-d) * (pair.chosen - pair.rejected.detach() - pair.offset).abs()
        rejected = torch.sigmoid(d) * (pair.chosen.detach() - pair.rejected - pair.offset).abs()
        return row_loss(pair, 4 * pair.beta * (chosen + rejected), self._options)

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return constant(keep, beta, 2.0)
