"""A few evaluated rows in words: what was shown, how the candidates were ranked, what was chosen. For people."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from polo.data import Rows, Splits
from polo.evaluate.metrics import Outcome
from polo.randomness import RowRandom
from polo.texts import plain

#: how many rows: half where the target is ranked first, half where it is not
COUNT: Final = 8
#: most items that are shown of a ranking
SHOWN: Final = 20


def examples(rows: Rows, splits: Splits, system: Outcome) -> list[dict[str, Any]]:
    """Rows drawn by their ids, as plain data.

    Returns:
        For each: ``row``, ``user``, ``history`` (titles, oldest first; of rows with texts of their own the
        prompt), ``target`` (title), ``rank`` (ties count half),
        ``candidates``: ``title`` and ``probability`` (softmax of the scores of all that is ranked), the
        :data:`SHOWN` best first.
    """
    above, tied = system.places(rows)
    order = np.argsort(RowRandom("examples").uniform(rows.id, 1)[:, 0], kind="stable")
    hit = (above == 0)[order]
    chosen = np.concatenate([order[hit][: COUNT // 2], order[~hit][: COUNT // 2]])
    title = splits.items.titles
    found = []
    for i in chosen.tolist():
        items, shares = system.best(rows, i)
        found.append(
            {
                "row": int(rows.id[i]),
                "user": int(rows.user[i]),
                "history": _shown(rows, splits, i),
                "target": title[int(rows.target[i])],
                "rank": float(above[i] + tied[i] / 2 + 1),
                "candidates": [
                    {"title": title[item], "probability": share}
                    for item, share in zip(items[:SHOWN].tolist(), shares[:SHOWN].tolist(), strict=True)
                ],
            }
        )
    return found


def _shown(rows: Rows, splits: Splits, i: int) -> list[str]:
    if splits.own is not None:
        return [plain(splits.own.prompts[int(rows.user[i])])]
    return [splits.items.titles[item] for item in rows.history_of(i).tolist()]
