"""Ranking metrics with one or several relevant items in a row, ties counted by their expected value.

Items that score alike may stand in any order, each as good as any other. Each metric here is the mean of its value
over those orders, in closed form (McSherry & Najork, ECIR 2008, doi 10.1007/978-3-540-78646-7_38). Scoring everything
alike thus earns exactly what guessing earns. Without ties the values are those of trec_eval.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from polo import Context, FloatArray, IntArray, Ranked
from polo_metrics.options import AtK


def expected(ranked: Ranked, gain: FloatArray) -> FloatArray:
    """Mean, over the ranks that each relevant item may have, of ``gain``; summed over the relevant items of a row.

    Args:
        ranked: N rows.
        gain: float64 ``[n]``, value of rank 1, 2, ..., n (n is the most items that are ranked for a row).

    Returns:
        float64 ``[N]``.
    """
    above, tied = ranked.places.above, ranked.places.tied
    upto = np.concatenate([[0.0], np.cumsum(gain)])
    mean = (upto[above + tied + 1] - upto[above]) / (tied + 1)
    # without ties the gain itself, free of the rounding of a difference of sums
    return _by_row(ranked, ranked.places.row, np.where(tied == 0, gain[above], mean))


def _by_row(ranked: Ranked, row: IntArray, values: FloatArray) -> FloatArray:
    return np.bincount(row, values, minlength=len(ranked.rows)).astype(np.float64)


def _ranks(ranked: Ranked) -> FloatArray:
    return np.arange(1, int(ranked.length.max(initial=0)) + 1, dtype=np.float64)


def _relevant(ranked: Ranked) -> IntArray:
    """``[N]`` how many items of each row are relevant."""
    return np.bincount(ranked.places.row, minlength=len(ranked.rows))


@dataclass(frozen=True)
class Groups:
    """Items of one row and one score of which some are relevant, flat, best first within a row.

    Args:
        row: ``[G]``.
        above: ``[G]`` how many items score higher.
        size: ``[G]`` how many items score so.
        relevant: ``[G]`` how many of these are relevant.
        before: ``[G]`` how many relevant ones score higher.
    """

    row: IntArray
    above: IntArray
    size: IntArray
    relevant: IntArray
    before: IntArray

    @classmethod
    def of(cls, ranked: Ranked) -> Groups:
        places = ranked.places
        order = np.lexsort((places.above, places.row))
        row, above, tied = places.row[order], places.above[order], places.tied[order]
        new = np.ones(len(row), np.bool_)
        new[1:] = (row[1:] != row[:-1]) | (above[1:] != above[:-1])
        first = np.flatnonzero(new)
        # where the items of a row begin, among all
        begin = np.searchsorted(row, row[first])
        count = np.diff(np.append(first, len(row)))
        return cls(row[first], above[first], tied[first] + 1, count, first - begin)


class HitRatio:
    """hit_ratio@k: probability that a relevant item is among the first k; with one target [rank <= k].

    Of t items that score alike, r of them relevant, s are among the first k: none of the r with probability
    C(t - r, s) / C(t, s).
    """

    needs = frozenset({"ranks"})

    def __init__(self, options: AtK, context: Context) -> None:
        self._k, self.deepest = options.k, max(options.k)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        groups = Groups.of(ranked)
        return {f"hit_ratio@{k}": _hit(ranked, groups, k) for k in self._k}


def _hit(ranked: Ranked, groups: Groups, k: int) -> FloatArray:
    size, relevant = groups.size, groups.relevant
    shown = np.clip(k - groups.above, 0, size)
    none = np.ones(len(size))
    for j in range(int(relevant.max(initial=0))):
        more = j < relevant
        none[more] *= np.maximum(size - shown - j, 0)[more] / (size - j)[more]
    hit = np.where(relevant == 1, shown / size, 1 - none)
    # only one group of a row can straddle k: the others are hit for certain, or not at all
    out = np.zeros(len(ranked.rows))
    np.maximum.at(out, groups.row, hit)
    return out


class Recall:
    """recall@k: share of the relevant items that are among the first k; with one target the same as hit_ratio@k."""

    needs = frozenset({"ranks"})

    def __init__(self, options: AtK, context: Context) -> None:
        self._k, self.deepest = options.k, max(options.k)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        ranks, relevant = _ranks(ranked), _relevant(ranked)
        return {f"recall@{k}": expected(ranked, (ranks <= k).astype(np.float64)) / relevant for k in self._k}


class Precision:
    """precision@k: how many of the first k are relevant, divided by k (also where fewer are ranked)."""

    needs = frozenset({"ranks"})

    def __init__(self, options: AtK, context: Context) -> None:
        self._k, self.deepest = options.k, max(options.k)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        ranks = _ranks(ranked)
        return {f"precision@{k}": expected(ranked, (ranks <= k).astype(np.float64)) / k for k in self._k}


class NDCG:
    """ndcg@k: sum over relevant items of [rank <= k] / log2(1 + rank), divided by the most it can be.

    That is the sum of 1 / log2(1 + i) for i up to min(k, number of relevant items): 1 with one target.
    """

    needs = frozenset({"ranks"})

    def __init__(self, options: AtK, context: Context) -> None:
        self._k, self.deepest = options.k, max(options.k)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        ranks, relevant = _ranks(ranked), _relevant(ranked)
        gain = 1 / np.log2(1 + ranks)
        ideal = np.append(0.0, np.cumsum(gain))
        return {f"ndcg@{k}": expected(ranked, (ranks <= k) * gain) / ideal[np.minimum(k, relevant)] for k in self._k}


class MRR:
    """mrr: 1 / rank of the first relevant item.

    Of t items that score alike below a others, r of them relevant, the first relevant one is the m-th with probability
    C(t - m, r - 1) / C(t, r).
    """

    needs = frozenset({"ranks"})

    def __init__(self, options: None, context: Context) -> None: ...

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        groups = Groups.of(ranked)
        best = groups.before == 0
        row, above, size, relevant = (x[best] for x in (groups.row, groups.above, groups.size, groups.relevant))
        harmonic = np.append(0.0, np.cumsum(1 / _ranks(ranked)))
        mean = (harmonic[above + size] - harmonic[above]) / size
        found = np.where(size == 1, 1 / (above + 1), mean)
        for i in np.flatnonzero((relevant > 1) & (size > 1)):
            found[i] = first_of(int(above[i]), int(size[i]), int(relevant[i]))
        return {"mrr": _by_row(ranked, row, found)}


def first_of(above: int, size: int, relevant: int) -> float:
    """Mean of 1 / rank of the first of ``relevant`` among ``size`` items in random order, behind ``above`` others.

    Example (2 of 3: first with probability 2/3, else second):
        >>> round(first_of(0, 3, 2), 4)
        0.8333
    """
    m = np.arange(1, size - relevant + 1)
    probability = relevant / size * np.append(1.0, np.cumprod((size - m - relevant + 1) / (size - m)))
    return float((probability / (above + np.arange(1, size - relevant + 2))).sum())


class MAP:
    """map: mean over the relevant items of the precision at their rank (average precision of the whole ranking).

    Of t items that score alike below a others, r of them relevant and p relevant ones above: the i-th is relevant with
    probability r / t, and then p + 1 + (i - 1)(r - 1) / (t - 1) relevant ones are among the first a + i.
    """

    needs = frozenset({"ranks"})

    def __init__(self, options: None, context: Context) -> None: ...

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        groups = Groups.of(ranked)
        above, size, relevant, before = groups.above, groups.size, groups.relevant, groups.before
        harmonic = np.append(0.0, np.cumsum(1 / _ranks(ranked)))
        inverse = harmonic[above + size] - harmonic[above]
        others = (relevant - 1) / np.maximum(size - 1, 1) * (size - (above + 1) * inverse)
        mean = relevant / size * ((before + 1) * inverse + others)
        value = np.where(size == 1, (before + 1) / (above + 1), mean)
        return {"map": _by_row(ranked, groups.row, value) / _relevant(ranked)}
