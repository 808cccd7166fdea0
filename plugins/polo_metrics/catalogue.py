"""What is recommended, whoever it is for: how much of the catalogue, and how popular it is beside what was chosen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from polo import Context, FloatArray, InputError, Ranked, Splits
from polo_metrics.options import AtK


def top_probability(scores: npt.NDArray[np.floating[Any]], k: int) -> FloatArray:
    """Probability of each candidate to be among the first k, tied candidates being put in any order alike.

    With ``above`` candidates strictly better and ``tied`` exactly as good (itself included):
    min(1, max(0, (k - above) / tied)). Items with ``-inf`` are not ranked: 0.

    Example:
        >>> import numpy as np
        >>> top_probability(np.array([[3.0, 1.0, 1.0, 0.0]]), 2).tolist()
        [[1.0, 0.5, 0.5, 0.0]]
    """
    order = np.argsort(-scores, axis=1, kind="stable")
    value = np.take_along_axis(scores, order, axis=1)
    place = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
    new = np.ones(scores.shape, np.bool_)
    new[:, 1:] = value[:, 1:] != value[:, :-1]
    last = np.ones(scores.shape, np.bool_)
    last[:, :-1] = new[:, 1:]
    above = np.maximum.accumulate(np.where(new, place, 0), axis=1)
    end = np.minimum.accumulate(np.where(last, place + 1, scores.shape[1])[:, ::-1], axis=1)[:, ::-1]
    p = np.clip((k - above) / (end - above), 0.0, 1.0)
    p[value == -np.inf] = 0.0
    out = np.empty(scores.shape)
    np.put_along_axis(out, order, p, axis=1)
    return out


class Coverage:
    """coverage@k: share of the catalogue that is among the first k of at least one row.

    Expected value where candidates tie: 1 - product over rows of (1 - p), p as in :func:`top_probability`. A list of n
    candidates shows n items at most, so coverage on short lists is bounded by what the lists hold.
    """

    needs = frozenset({"scores", "items"})

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

    needs = frozenset({"scores", "items"})

    def __init__(self, options: AtK, context: Context) -> None:
        splits = _splits(context, "popularity_lift")
        counts = np.bincount(splits.sequences.items, minlength=len(splits.items))
        self._k, self._log = options.k, np.log1p(counts)

    def per_row(self, ranked: Ranked) -> Mapping[str, FloatArray]:
        assert ranked.rows.candidates is not None
        listed = self._log[ranked.rows.candidates]
        chosen = self._log[ranked.rows.target]
        n = ranked.length
        return {
            f"popularity_lift@{k}": (top_probability(ranked.scores, k) * listed).sum(axis=1) / np.minimum(k, n) - chosen
            for k in self._k
        }


def _splits(context: Context, name: str) -> Splits:
    if context.splits is None:
        raise InputError(f"{name} needs the data", where="evaluate.evaluators", fix="use it in a recipe with data")
    return context.splits
