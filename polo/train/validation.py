"""A look at held-out rows while a stage trains: lists of candidates, or the whole catalogue. Knows no loop."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polo.data import FloatArray, IntArray, Rows
from polo.evaluate.whole import Kept, measure
from polo.model.scoring import score_every, score_lists
from polo.protocols import Policy, Ranked


@dataclass(frozen=True)
class Seen:
    """What a policy makes of N held-out rows.

    Args:
        hits: ``[N]`` hit ratio at 1, a tie of t items at the top counting 1/t.
        accuracy: ``[N]`` share of the other items that score below the target.
        chosen: ``[N]`` score of the target.
        lists: scores ``[N, n]`` and column of the target ``[N]``, where candidate lists are ranked.
    """

    hits: FloatArray
    accuracy: FloatArray
    chosen: FloatArray
    lists: tuple[FloatArray, IntArray] | None


def look(policy: Policy, rows: Rows, budget: int) -> Seen | None:
    """Scores the rows as an evaluation would; ``None`` where there is nothing to rank for them.

    Args:
        policy: is put into eval mode and back.
        rows: with candidate lists, or of a whole catalogue.
        budget: flat tokens of one forward.
    """
    if not len(rows):
        return None
    if rows.whole is not None:
        table = measure(rows, (), score_every(policy, budget))
        kept = Kept("", table)
        accuracy = kept.values(rows, ())["preference_accuracy"]
        return Seen(_hits(*kept.places(rows)), accuracy, table["score"].to_numpy(), None)
    if rows.candidates is None:
        return None
    scores, _ = score_lists(policy, rows, rows.listed, budget)
    ranked = Ranked.of(rows, scores)
    chosen = scores[np.arange(len(rows)), ranked.truth]
    return Seen(_hits(ranked.above, ranked.tied), ranked.accuracy(), chosen, (scores, ranked.truth))


def _hits(above: IntArray, tied: IntArray) -> FloatArray:
    return np.where(above == 0, 1.0 / (tied + 1), 0.0)
