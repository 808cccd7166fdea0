"""What a system's scores make of rows: where the relevant items stand. Knows rows and scores; knows no metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np

from polo.data import PAD, BoolArray, FloatArray, IntArray, Ragged, Rows
from polo.errors import PoloError

#: entries of the largest temporary array; bounds memory, never the result
_ENTRIES: Final = 1 << 22
#: lists of this length are compared one by one, shorter ones many at a time; the same counts
_LONG: Final = 1 << 11


@dataclass(frozen=True)
class Places:
    """Where each relevant item stands in the ranking of its row, flat: M items of N rows, those of a row together.

    Items that score alike may stand in any order, so an item's rank is any of above+1, ..., above+tied+1.

    Args:
        row: ``[M]`` which of the N rows.
        above: ``[M]`` how many items of the row's ranking score strictly higher.
        tied: ``[M]`` how many other items score exactly the same.
    """

    row: IntArray
    above: IntArray
    tied: IntArray


@dataclass(frozen=True)
class Ranked:
    """One system's scores on the candidate lists of N rows, with the places of what is relevant worked out.

    Relevant are the row's target, or the items of ``rows.relevant`` that are in its list.

    Args:
        rows: the rows; ``rows.candidates`` is ``[N, n]``.
        scores: float64 ``[N, n]``, higher is better; ``-inf`` for items that ``rows.whole`` leaves out, and where a
            list has no more items.
        truth: ``[N]`` column of the target.
        above: ``[N]`` how many candidates score strictly higher than the target.
        tied: ``[N]`` how many other candidates score exactly the same.
        length: ``[N]`` how many items are ranked.
        places: of the relevant items.
        reference: float64 ``[N, n]``, the reference's scores of the same lists, for evaluators that need ``reference``.
        tokens: int64 ``[N, n]``, how many tokens each score sums over, for evaluators that need ``tokens``.
        generated: N greedy completions, for evaluators that need ``generation``.
    """

    rows: Rows
    scores: FloatArray
    truth: IntArray
    above: IntArray
    tied: IntArray
    length: IntArray
    places: Places
    reference: FloatArray | None = None
    generated: Sequence[str] | None = None
    tokens: IntArray | None = None

    @classmethod
    def of(
        cls,
        rows: Rows,
        scores: FloatArray,
        reference: FloatArray | None = None,
        generated: Sequence[str] | None = None,
        tokens: IntArray | None = None,
    ) -> Ranked:
        """Works the places out.

        Raises:
            ValueError: rows without candidate lists.
            PoloError: a score that is not finite.
        """
        if rows.candidates is None:
            raise ValueError("rows without candidate lists cannot be ranked")
        if not np.isfinite(scores).all():
            row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise PoloError(f"a score of row {int(rows.id[row])} is not finite: {scores[row].tolist()[:100]}",
                            fix="look at what scored it; a ranking of such scores would mean nothing")  # fmt: skip
        length, at = np.full(len(rows), scores.shape[1], np.int64), np.arange(len(rows), dtype=np.int64)
        if rows.whole is not None:  # an item's column is its number
            scores, length = _left_out(rows.whole.without, scores), rows.whole.lengths
            truth, find = rows.target, _owners
        else:
            if (missing := rows.candidates == PAD).any():
                scores, length = np.where(missing, -np.inf, scores), (~missing).sum(axis=1).astype(np.int64)
            truth = (rows.candidates == rows.target[:, None]).argmax(axis=1).astype(np.int64)
            find = partial(_columns, rows.candidates)
        alone = _standing(scores, at, truth)
        places = alone if rows.relevant is None else _standing(scores, *find(rows.relevant))
        return cls(rows, scores, truth, alone.above, alone.tied, length, places, reference, generated, tokens)

    @property
    def negatives(self) -> BoolArray:
        """``[N, n]`` the places of ``scores`` at which an item stands that is ranked and is not the target."""
        found: BoolArray = self.scores > -np.inf
        found[np.arange(len(found)), self.truth] = False
        return found

    def accuracy(self) -> FloatArray:
        """``[N]`` share of the other items that score below the target; ties count one half, and 1 where none is.

        Example:
            >>> lists = np.array([[7, 3, 5, 4]])
            >>> rows = Rows(np.zeros(1, int), np.zeros(1, int), np.zeros((1, 0), int), np.array([7]), lists)
            >>> Ranked.of(rows, np.array([[1.0, 3.0, 1.0, 0.0]])).accuracy().tolist()
            [0.5]
        """
        others = self.length - 1
        below: FloatArray = (others - self.above - 0.5 * self.tied) / np.maximum(others, 1)
        return np.where(others > 0, below, 1.0)


def _left_out(without: Ragged, scores: FloatArray) -> FloatArray:
    """The scores ``[N, n]`` of whole catalogues, a column for each item, without those left out."""
    kept = scores.copy()
    kept[np.repeat(np.arange(len(without)), without.lengths), without.items] = -np.inf
    return kept


def _columns(candidates: IntArray, relevant: Ragged) -> tuple[IntArray, IntArray]:
    """Row ``[M]`` and column ``[M]`` of the relevant items that are in their row's list."""
    owner = np.repeat(np.arange(len(relevant), dtype=np.int64), relevant.lengths)
    found, column = np.zeros(len(owner), np.bool_), np.zeros(len(owner), np.int64)
    for part in _parts(len(owner), candidates.shape[1]):
        here = candidates[owner[part]] == relevant.items[part, None]
        found[part], column[part] = here.any(axis=1), here.argmax(axis=1)
    return owner[found], column[found]


def _owners(relevant: Ragged) -> tuple[IntArray, IntArray]:
    """Row ``[M]`` and number ``[M]`` of the relevant items."""
    return np.repeat(np.arange(len(relevant), dtype=np.int64), relevant.lengths), relevant.items


def _standing(scores: FloatArray, row: IntArray, column: IntArray) -> Places:
    above, tied = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    own = scores[row, column]
    if scores.shape[1] >= _LONG:  # no copy of a line for each of its items
        for i, (line, value) in enumerate(zip(row.tolist(), own.tolist(), strict=True)):
            above[i] = np.count_nonzero(scores[line] > value)
            tied[i] = np.count_nonzero(scores[line] == value) - 1
        return Places(row, above, tied)
    for part in _parts(len(row), scores.shape[1]):
        beside, mine = scores[row[part]], own[part, None]
        above[part], tied[part] = (beside > mine).sum(axis=1), (beside == mine).sum(axis=1) - 1
    return Places(row, above, tied)


def _parts(total: int, width: int) -> Iterator[slice]:
    step = max(1, _ENTRIES // max(1, width))
    return (slice(start, min(start + step, total)) for start in range(0, total, step))
