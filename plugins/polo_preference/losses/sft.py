"""Supervised fine-tuning: likelihood of the chosen title. Looks at no negative, so any head can be added to it."""

from __future__ import annotations

from jaxtyping import Bool, Float
from torch import Tensor

from polo import Context, Need, Scores
from polo_preference.options.losses import SftOptions


def nll(scores: Scores, reduce: str) -> Float[Tensor, " b"]:
    """Negative log-likelihood of the chosen title in nats: ``reduce="sequence"`` its sum, ``"token"`` its mean."""
    total = -scores.wide[:, 0]
    return total / scores.tokens[:, 0].clamp(min=1) if reduce == "token" else total


class Sft:
    """``L = -log p(y_w | x)``, as mean over the title's tokens (``token``) or as their sum (``sequence``).

    Example:
        >>> import torch
        >>> scores = Scores.of(torch.tensor([[-6.0]]), tokens=torch.tensor([[3]]))
        >>> none = torch.empty(1, 0)
        >>> Sft(SftOptions(), None)(scores, none.bool(), none).tolist()
        [2.0]
    """

    def __init__(self, options: SftOptions, context: Context) -> None:
        self._reduce = options.reduce
        self.needs: frozenset[Need] = frozenset({"logprob", "tokens"} if options.reduce == "token" else {"logprob"})

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return nll(scores, self._reduce)
