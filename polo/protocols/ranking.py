"""What a system's scores make of rows: where the relevant items stand. Knows rows and scores; knows no metric."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from polo.data import PAD, BoolArray, FloatArray, IntArray, Ragged, Rows
from polo.errors import PoloError

#: entries of the largest temporary array; bounds memory, never the result
_ENTRIES: Final = 1 << 22
#: what a byte can count
_BYTE: Final = 255

#: scores in the type in which they were computed
Numbers = npt.NDArray[np.floating[Any]]


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
        scores: ``[N, n]``, float64 or float32, higher is better; ``-inf`` for items that ``rows.whole`` leaves out, and
            where a list has no more items. Where a whole catalogue was searched and not scored, lists and scores are of
            the n best items found: no matter to an evaluator that needs ranks alone, and no other is asked then.
        truth: ``[N]`` column of the target; :data:`~polo.data.PAD` where the best found are without it.
        above: ``[N]`` how many candidates score strictly higher than the target.
        tied: ``[N]`` how many other candidates score exactly the same.
        length: ``[N]`` how many items are ranked.
        places: of the relevant items.
        reference: float64 ``[N, n]``, the reference's scores of the same lists, for evaluators that need ``reference``.
        tokens: int64 ``[N, n]``, how many tokens each score sums over, for evaluators that need ``tokens``.
        generated: N greedy completions, for evaluators that need ``generation``.
    """

    rows: Rows
    scores: Numbers
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
        scores: Numbers,
        reference: FloatArray | None = None,
        generated: Sequence[str] | None = None,
        tokens: IntArray | None = None,
        *,
        free: bool = False,
    ) -> Ranked:
        """Works the places out.

        Args:
            free: ``scores`` may be written to: what is left out of a whole catalogue is marked there, not in a copy.

        Raises:
            ValueError: rows without candidate lists.
            PoloError: a score that is not finite.
        """
        if rows.candidates is None:
            raise ValueError("rows without candidate lists cannot be ranked")
        # a sum is finite only if all of it is, and costs less to look at
        if not np.isfinite(scores.sum()) and not np.isfinite(scores).all():
            row = int(np.flatnonzero(~np.isfinite(scores).all(axis=1))[0])
            raise PoloError(f"a score of row {int(rows.id[row])} is not finite: {scores[row].tolist()[:100]}",
                            fix="look at what scored it; a ranking of such scores would mean nothing")  # fmt: skip
        length, at = np.full(len(rows), scores.shape[1], np.int64), np.arange(len(rows), dtype=np.int64)
        if rows.whole is not None:  # an item's column is its number
            scores, length = _left_out(rows.whole.without, scores if free else scores.copy()), rows.whole.lengths
            truth, find = rows.target, _owners
        else:
            if (missing := rows.candidates == PAD).any():
                scores, length = np.where(missing, -np.inf, scores), (~missing).sum(axis=1).astype(np.int64)
            truth = (rows.candidates == rows.target[:, None]).argmax(axis=1).astype(np.int64)
            find = partial(_columns, rows.candidates)
        if rows.relevant is None:
            alone = places = _standing(scores, at, truth)
        else:
            owner, column = find(rows.relevant)
            places = _standing(scores, owner, column)
            own = np.flatnonzero(column == truth[owner])  # the target is one of them, unless its list is without it
            one_each = np.array_equal(owner[own], at)
            alone = Places(at, places.above[own], places.tied[own]) if one_each else _standing(scores, at, truth)
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


def _left_out(without: Ragged, scores: Numbers) -> Numbers:
    """The scores ``[N, n]`` of whole catalogues, a column for each item, now without those left out."""
    scores[np.repeat(np.arange(len(without)), without.lengths), without.items] = -np.inf
    return scores


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


def _standing(scores: Numbers, row: IntArray, column: IntArray) -> Places:
    """Places of M items, those of a row together. The first of each row are compared at once, then the second ones."""
    above, tied = np.empty(len(row), np.int64), np.empty(len(row), np.int64)
    own = scores[row, column]
    first = np.flatnonzero(np.diff(row, prepend=-1))
    turn = np.arange(len(row)) - np.repeat(first, np.diff(first, append=len(row)))
    for number in range(int(turn.max(initial=-1)) + 1):
        at = np.flatnonzero(turn == number)
        for part in _parts(len(at), scores.shape[1]):
            here = at[part]
            above[here], tied[here] = _compared(_lines(scores, row[here]), own[here])
    return Places(row, above, tied)


def _lines(scores: Numbers, row: IntArray) -> Numbers:
    """Lines in ascending order; without a copy where they are neighbours."""
    low, high = int(row[0]), int(row[-1]) + 1
    return scores[low:high] if high - low == len(row) else scores[row]


def _compared(lines: Numbers, own: Numbers) -> tuple[IntArray, IntArray]:
    """How many of each line ``[m, n]`` are higher than its own value ``[m]``, and how many others are equal to it."""
    words = -(-lines.shape[1] // 8)
    stretches = max(1, -(-words // _BYTE))
    marks = np.zeros((len(lines), stretches * -(-words // stretches) * 8), np.bool_)
    inside = marks[:, : lines.shape[1]]
    np.greater(lines, own[:, None], out=inside)
    above = _counted(marks, stretches)
    np.greater_equal(lines, own[:, None], out=inside)
    return above, _counted(marks, stretches) - above - 1


def _counted(marks: BoolArray, stretches: int) -> IntArray:
    """How many of each line are set: eight bytes are added at a time, no more often than a byte can hold."""
    bytes_ = marks.view(np.uint64).reshape(len(marks), stretches, -1).sum(axis=2).view(np.uint8)
    count: IntArray = bytes_.reshape(len(marks), -1).sum(axis=1, dtype=np.int64)
    return count


def _parts(total: int, width: int) -> Iterator[slice]:
    step = max(1, _ENTRIES // max(1, width))
    return (slice(start, min(start + step, total)) for start in range(0, total, step))
