"""Hard negatives: those the policy itself scores highest."""

from __future__ import annotations

import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, RowRandom, SamplerWrapper, Scores
from polo_preference.options.samplers import SelectOptions


class Hard(SamplerWrapper):
    """The n highest scored of the drawn negatives enter the loss; all drawn ones are scored.

    The policy's score decides (sums of log-probabilities for text). Ties go to the earlier column. ``dns`` does the
    same before scoring: cheaper where scoring with gradients is dear, since only the chosen ones are scored with them.
    Over ``{use: top, k: m, m: m}`` these are the hardest of the whole catalogue.
    """

    def __init__(self, options: SelectOptions, context: Context) -> None:
        super().__init__(context.build(options.from_))
        self._n = options.n

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return top(scores.wide[:, 1:], super().keep(scores, rng, progress), self._n)


def top(x: Tensor, among: Bool[Tensor, "b k"], n: int) -> Bool[Tensor, "b k"]:
    """The n largest of ``x`` in each row among those marked; all marked ones where there are fewer.

    Example:
        >>> top(torch.tensor([[1.0, 3.0, 2.0, 9.0]]), torch.tensor([[True, True, True, False]]), 2).tolist()
        [[False, True, True, False]]
    """
    order = torch.where(among, x, -torch.inf).argsort(dim=-1, descending=True, stable=True)
    return among & (order.argsort(dim=-1) < n)
