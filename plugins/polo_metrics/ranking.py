"""Ranking metrics with one relevant item, ties counted by their expected value.

With ``above`` candidates strictly better than the target and ``tied`` others exactly as good, any order of the tied
ones is as good as any other, so the target's rank is uniform on above+1, ..., above+tied+1. Each metric here is the
mean of its value over those ranks, in closed form. Scoring everything alike thus earns exactly what guessing earns.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polo import Context, FloatArray, Ranked
from polo_metrics.options import AtK


def expected(ranked: Ranked, gain: FloatArray) -> FloatArray:
    """Mean of ``gain`` over the ranks that the target may have.

    Args:
        ranked: N rows.
        gain: float64 ``[n]``, value of rank 1, 2, ..., n (n is the length of the lists).

    Returns:
        float64 ``[N]``.
    """
    upto = np.concatenate([[0.0], np.cumsum(gain)])
    mean: FloatArray = (upto[ranked.above + ranked.tied + 1] - upto[ranked.above]) / (ranked.tied + 1)
    # without ties the gain itself, free of the rounding of a difference of sums
    return np.where(ranked.tied == 0, gain[ranked.above], mean)


def _ranks(ranked: Ranked) -> FloatArray:
    return np.arange(1, ranked.scores.shape[1] + 1, dtype=np.float64)


class HitRatio:
    """hit_ratio@k: probability that the target is among the first k, [rank <= k]."""

    needs = frozenset({"ranks"})
    name = "hit_ratio"

    def __init__(self, options: AtK, context: Context) -> None:
        self._k = options.k

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        ranks = _ranks(ranked)
        return {f"{self.name}@{k}": expected(ranked, (ranks <= k).astype(np.float64)) for k in self._k}


class Recall(HitRatio):
    """recall@k: share of the relevant items among the first k. Rows have one target, so it equals hit_ratio@k."""

    name = "recall"


class NDCG:
    """ndcg@k: [rank <= k] / log2(1 + rank); with one relevant item the ideal gain is 1."""

    needs = frozenset({"ranks"})

    def __init__(self, options: AtK, context: Context) -> None:
        self._k = options.k

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        ranks = _ranks(ranked)
        return {f"ndcg@{k}": expected(ranked, (ranks <= k) / np.log2(1 + ranks)) for k in self._k}


class MRR:
    """mrr: 1 / rank."""

    needs = frozenset({"ranks"})

    def __init__(self, options: None, context: Context) -> None: ...

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        return {"mrr": expected(ranked, 1 / _ranks(ranked))}
