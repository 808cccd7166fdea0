"""Rankings of the whole catalogue of which the best items and the places of relevant ones were found, not all scored.

What is kept of a row is what ``polo.evaluate.whole`` keeps, but for the sum over all scores, which nobody knows then.
Metrics that look at ranks alone are those of scoring everything. Knows places and tables; who finds is no matter.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Final

import numpy as np
import pyarrow as pa

from polo.data import PAD, FloatArray, IntArray, Ragged, Rows
from polo.evaluate.metrics import System, per_row, totals
from polo.evaluate.whole import Keeping
from polo.protocols import Evaluator, Finder, Placed, Places, Ranked

#: rows that are searched together
ROWS: Final = 64


def measure_found(rows: Rows, evaluators: Sequence[Evaluator], find: Finder, *, exact: bool) -> pa.Table:
    """A line per row with all that is kept of one system; see :class:`~polo.evaluate.whole.Kept` for the columns.

    Args:
        rows: N rows for which the whole catalogue is ranked.
        evaluators: none that needs more than ranks, nor more of these than ``find`` finds.
        find: called for a few rows at a time.
        exact: whether every rank is found; else there is no ``preference_accuracy``, which looks at all of them, and
            where ``exact`` says so no more is known of a target than that ``above`` items at least are above it.
    """
    keeping = Keeping(len(rows))
    for start in range(0, len(rows), ROWS):
        at = np.arange(start, min(start + ROWS, len(rows)))
        block = rows[at]
        placed, tokens = find(block, _asked(block))
        _kept(block, evaluators, placed, tokens, keeping, at, exact=exact)
    return keeping.table()


def _asked(rows: Rows) -> Ragged:
    """Of each row what is relevant, and then its target."""
    if rows.relevant is None:
        return Ragged(rows.target, np.arange(len(rows) + 1, dtype=np.int64))
    ends = rows.relevant.offsets[1:]
    return Ragged(np.insert(rows.relevant.items, ends, rows.target), rows.relevant.offsets + np.arange(len(rows) + 1))


def _kept(
    block: Rows,
    evaluators: Sequence[Evaluator],
    placed: Mapping[str, Placed],
    tokens: IntArray | None,
    keeping: Keeping,
    at: IntArray,
    *,
    exact: bool,
) -> None:
    """Keeps what there is to keep of a block whose rows stand ``at`` these places."""
    rankings = {suffix: _ranked(block, one) for suffix, one in placed.items()}
    plain, ends = placed[""], _asked(block).offsets[1:] - 1
    top = plain.top
    keeping.put(at, "score", plain.score[ends])
    keeping.put(at, "above", plain.above[ends])
    keeping.put(at, "tied", plain.tied[ends])
    keeping.put(at, "exact", plain.exact[ends])
    keeping.put(at, "ranked", rankings[""].length)
    keeping.put(at, "items", top.items.astype(np.int32))
    keeping.put(at, "scores", top.scores)
    if tokens is not None:
        keeping.put(at, "tokens", tokens.astype(np.int16))
    system = System("", top.scores)
    for name, column in per_row(rankings, system, evaluators).items():
        if exact or not name.startswith("preference_accuracy"):
            keeping.put(at, f"value {name}", column)
    for key, total in totals(rankings, system, evaluators).items():
        keeping.add(f"sum {key}", total)


def _ranked(rows: Rows, placed: Placed) -> Ranked:
    """A ranking of which the best and some places are known."""
    assert rows.whole is not None
    asked, above, tied = _asked(rows), _told_apart(rows, placed), np.where(placed.exact, placed.tied, 0)
    ends = asked.offsets[1:] - 1
    at = np.arange(len(rows), dtype=np.int64)
    if rows.relevant is None:
        places = Places(at, above, tied)
    else:
        inner = np.delete(np.arange(len(asked.items)), ends)
        places = Places(np.repeat(at, rows.relevant.lengths), above[inner], tied[inner])
    there = placed.top.items == rows.target[:, None]
    truth = np.where(there.any(axis=1), there.argmax(axis=1), PAD).astype(np.int64)
    scores: FloatArray = placed.top.scores
    listed = replace(rows, candidates=placed.top.items)
    return Ranked(listed, scores, truth, above[ends], tied[ends], rows.whole.lengths, places)


def _told_apart(rows: Rows, placed: Placed) -> IntArray:
    """``[M]`` how many items are above; those of whom only that is known that they are behind the best come last.

    Each at a place of its own, as those at one place are taken for items of one score.
    """
    assert rows.whole is not None
    above, asked = placed.above.copy(), _asked(rows)
    for row, (start, stop) in enumerate(itertools.pairwise(asked.offsets)):
        # the target comes a second time, at the end
        own = start + np.flatnonzero(~placed.exact[start:stop])
        items, place = np.unique(asked.items[own], return_inverse=True)
        above[own] = rows.whole.lengths[row] - len(items) + place
    return above
