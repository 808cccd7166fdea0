"""A look at held-out rows while a stage trains: lists of candidates, or the whole catalogue. Knows no loop."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from polo.data import FloatArray, IntArray, Known, Ragged, Rows
from polo.distinct import draw_distinct
from polo.errors import InputError
from polo.evaluate.whole import Kept, measure
from polo.model.scoring import score_every, score_lists
from polo.protocols import Evaluator, Policy, Ranked
from polo.randomness import RowRandom

#: length of the lists that stand in for a whole catalogue; the default of ``candidates.n``
LISTED: Final = 20


@dataclass(frozen=True)
class Seen:
    """What a policy makes of N held-out rows.

    Args:
        hits: ``[N]`` hit ratio at 1, a tie of t items at the top counting 1/t.
        accuracy: ``[N]`` share of the other items that score below the target.
        chosen: ``[N]`` score of the target.
        lists: scores ``[N, n]`` and column of the target ``[N]``, where candidate lists are ranked.
        asked: ``[N]`` the metric that was asked for; ``None`` where none was.
    """

    hits: FloatArray
    accuracy: FloatArray
    chosen: FloatArray
    lists: tuple[FloatArray, IntArray] | None
    asked: FloatArray | None = None


def listed(rows: Rows) -> Rows:
    """The rows with lists of candidates: their own, or of a whole catalogue the target and up to 19 that are drawn.

    Drawn by the row alone from what is ranked for it, always the same. Rows without either stay as they are.

    Example:
        >>> from polo.candidates import attach_all
        >>> from polo.testing import small_splits
        >>> splits = small_splits(users=4, items=30)
        >>> rows = listed(attach_all(splits, splits.valid, split="valid"))
        >>> rows.candidates.shape, bool((rows.candidates[:, 0] == rows.target).all())
        ((4, 20), True)
    """
    if rows.whole is None or not len(rows):
        return rows
    without, at = rows.whole.without, np.arange(len(rows), dtype=np.int64)
    relevant = Ragged(rows.target, np.arange(len(rows) + 1)) if rows.relevant is None else rows.relevant
    owner = np.concatenate([np.repeat(at, lists.lengths) for lists in (without, relevant)])
    known = Known(owner, np.concatenate([without.items, relevant.items]), rows.whole.n_items)
    rng = RowRandom("validation", "listed")
    others, valid = draw_distinct(rng, rows.id, rows.whole.n_items, LISTED - 1, known.has)
    lists = np.concatenate([rows.target[:, None], others[:, : int(valid.sum(axis=1).min())]], axis=1)
    return replace(rows, whole=None, relevant=None, candidates=lists)


def figure_of(metric: Evaluator) -> str:
    """The name of an evaluator's one figure, as it stands in results.

    Raises:
        InputError: it has none for each row, or several.
    """
    one = np.zeros(1, np.int64)
    rows = Rows(one, one, np.empty((1, 0), np.int64), one, np.arange(2)[None])
    names = list(metric.per_row(Ranked.of(rows, np.array([[1.0, 0.0]]))))
    if len(names) == 1:
        return names[0]
    raise InputError(
        f"measurements are compared by one figure of each row; this evaluator has {', '.join(names) or 'none'}",
        fix="give it one length" if names else "choose a metric of each row",
    )


def look(policy: Policy, rows: Rows, budget: int, metric: Evaluator | None = None) -> Seen | None:
    """Scores the rows as an evaluation would; ``None`` where there is nothing to rank for them.

    Args:
        policy: is put into eval mode and back.
        rows: with candidate lists, or of a whole catalogue.
        budget: flat tokens of one forward.
        metric: is worked out besides; has one figure.
    """
    if not len(rows):
        return None
    if rows.whole is not None:
        table = measure(rows, () if metric is None else (metric,), score_every(policy, budget))
        kept = Kept("", table)
        values = kept.values(rows, ())
        asked = None if metric is None else values[figure_of(metric)]
        return Seen(_hits(*kept.places(rows)), values["preference_accuracy"], table["score"].to_numpy(), None, asked)
    if rows.candidates is None:
        return None
    scores, _ = score_lists(policy, rows, rows.listed, budget)
    ranked = Ranked.of(rows, scores)
    chosen = scores[np.arange(len(rows)), ranked.truth]
    asked = None if metric is None else metric.per_row(ranked)[figure_of(metric)]
    return Seen(_hits(ranked.above, ranked.tied), ranked.accuracy(), chosen, (scores, ranked.truth), asked)


def _hits(above: IntArray, tied: IntArray) -> FloatArray:
    return np.where(above == 0, 1.0 / (tied + 1), 0.0)
