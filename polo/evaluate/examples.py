"""A few evaluated rows in words: what was shown, how the candidates were ranked, what was chosen. For people."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from polo.data import Rows, Splits
from polo.evaluate.metrics import System
from polo.protocols import Ranked
from polo.randomness import RowRandom

#: how many rows: half where the target is ranked first, half where it is not
COUNT: Final = 8


def examples(rows: Rows, splits: Splits, system: System) -> list[dict[str, Any]]:
    """Rows drawn by their ids, as plain data.

    Returns:
        For each: ``row``, ``user``, ``history`` (titles, oldest first), ``target`` (title), ``rank`` (ties count half),
        ``candidates``: ``title`` and ``probability`` (softmax of the list's scores), best first.
    """
    assert rows.candidates is not None
    ranked = Ranked.of(rows, system.scores)
    order = np.argsort(RowRandom("examples").uniform(rows.id, 1)[:, 0], kind="stable")
    hit = (ranked.above == 0)[order]
    chosen = np.concatenate([order[hit][: COUNT // 2], order[~hit][: COUNT // 2]])
    title = splits.items.titles
    found = []
    for i in chosen.tolist():
        weight = np.exp(system.scores[i] - system.scores[i].max())
        best = np.argsort(-system.scores[i], kind="stable")
        found.append(
            {
                "row": int(rows.id[i]),
                "user": int(rows.user[i]),
                "history": [title[item] for item in rows.history_of(i).tolist()],
                "target": title[int(rows.target[i])],
                "rank": float(ranked.above[i] + ranked.tied[i] / 2 + 1),
                "candidates": [
                    {"title": title[int(rows.candidates[i, c])], "probability": float(weight[c] / weight.sum())}
                    for c in best.tolist()
                ],
            }
        )
    return found
