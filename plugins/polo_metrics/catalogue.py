"""What is recommended, whoever it is for: how much of the catalogue, and how popular it is beside what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from polo import Context, FloatArray, InputError, Ranked, Splits
from polo_metrics.options import AtK

#: entries of the largest temporary array
_ENTRIES: Final = 1 << 22


def top_probability(scores: FloatArray, k: int) -> FloatArray:
    """Probability of each candidate to be among the first k, tied candidates being put in any order alike.

    With ``above`` candidates strictly better and ``tied`` exactly as good (itself included):
    min(1, max(0, (k - above) / tied)).

    Example:
        >>> import numpy as np
        >>> top_probability(np.array([[3.0, 1.0, 1.0, 0.0]]), 2).tolist()
        [[1.0, 0.5, 0.5, 0.0]]
    """
    out = np.empty(scores.shape)
    step = max(1, _ENTRIES // scores.shape[1] ** 2)
    for start in range(0, len(scores), step):
        block = scores[start : start + step]
        above = (block[:, None, :] > block[:, :, None]).sum(axis=2)
        tied = (block[:, None, :] == block[:, :, None]).sum(axis=2)
        out[start : start + step] = np.clip((k - above) / tied, 0.0, 1.0)
    return out


class Coverage:
    """coverage@k: share of the catalogue that is among the first k of at least one row.

    Expected value where candidates tie: 1 - product over rows of (1 - p), p as in :func:`top_probability`. A list of n
    candidates shows n items at most, so coverage on short lists is bounded by what the lists hold.
    """

    needs = frozenset({"scores"})

    def __init__(self, options: AtK, context: Context) -> None:
        self._k, self._n_items = options.k, len(_splits(context, "coverage").items)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        return {}

    def totals(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        """For each item the sum over rows of log(1 - p): the log-probability of never being shown."""
        assert ranked.rows.candidates is not None
        found = {}
        for k in self._k:
            with np.errstate(divide="ignore"):
                missed = np.log1p(-top_probability(ranked.scores, k))
            total = np.zeros(self._n_items)
            np.add.at(total, ranked.rows.candidates, missed)
            found[f"coverage@{k}"] = total
        return found

    def figures(self, totals: Mapping[str, FloatArray]) -> Mapping[str, float]:
        return {name: float((1 - np.exp(total)).mean()) for name, total in totals.items()}


class PopularityLift:
    """popularity_lift@k: mean log(1 + count) of the first k, minus that of the target; count in the training sequences.

    Above 0 the system recommends more popular items than people chose. Ties by :func:`top_probability`.
    """

    needs = frozenset({"scores"})

    def __init__(self, options: AtK, context: Context) -> None:
        splits = _splits(context, "popularity_lift")
        counts = np.bincount(splits.sequences.items, minlength=len(splits.items))
        self._k, self._log = options.k, np.log1p(counts)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        assert ranked.rows.candidates is not None
        listed = self._log[ranked.rows.candidates]
        chosen = self._log[ranked.rows.target]
        n = ranked.scores.shape[1]
        return {
            f"popularity_lift@{k}": (top_probability(ranked.scores, k) * listed).sum(axis=1) / min(k, n) - chosen
            for k in self._k
        }


def _splits(context: Context, name: str) -> Splits:
    if context.splits is None:
        raise InputError(f"{name} needs the data", where="evaluate.evaluators", fix="use it in a recipe with data")
    return context.splits
