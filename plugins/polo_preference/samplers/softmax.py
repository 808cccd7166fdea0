"""Negatives chosen by chance, the higher scored more often."""

from __future__ import annotations

from jaxtyping import Bool
from torch import Tensor

from polo import Context, RowRandom, SamplerWrapper, Scores
from polo_preference.noise import gumbel
from polo_preference.options.samplers import SoftmaxOptions
from polo_preference.samplers.hard import top


class Softmax(SamplerWrapper):
    """n of the drawn negatives, one after the other, each with probability in proportion to ``exp(score / T)``.

    Drawn by Gumbel top-n (Kool et al., arXiv 1903.06059) on the device. Importance sampling by the policy itself: a
    soft form of the one-way partial AUC (Shi et al., arXiv 2302.03472).
    """

    def __init__(self, options: SoftmaxOptions, context: Context) -> None:
        super().__init__(context.build(options.from_))
        self._n, self._temperature = options.n, options.temperature

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        among = super().keep(scores, rng, progress)
        noise = gumbel(rng.child("softmax"), scores.rows, among.shape[1])
        return top(scores.wide[:, 1:].double() / self._temperature + noise, among, self._n)
