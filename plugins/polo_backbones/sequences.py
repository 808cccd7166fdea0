"""Which rows share a forward of a sequence model, and from which item on each history is read.

A causal model that has read a history has read all its beginnings: rows whose histories begin alike are positions of
one sequence. Knows item numbers and windows; no model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from polo import PAD, IntArray, LazyRows, Rows


@dataclass(frozen=True)
class Packed:
    """B histories as positions of S sequences.

    Args:
        items: int64 ``[S, L]``, oldest first, left-aligned, padded on the right with ``PAD``.
        sequence, position: int64 ``[B]``, where the last item of each history stands; position -1: an empty history.
    """

    items: IntArray
    sequence: IntArray
    position: IntArray


def left_aligned(history: IntArray, leave: IntArray | None = None) -> IntArray:
    """Histories ``[B, H]`` with their oldest item in column 0, without the ``leave [B]`` oldest.

    Example:
        >>> import numpy as np
        >>> left_aligned(np.array([[-1, 3, 4], [5, 6, 7]]), np.array([0, 1])).tolist()
        [[3, 4, -1], [6, 7, -1]]
    """
    first = (history == PAD).sum(axis=1) + (0 if leave is None else leave)
    place = np.arange(history.shape[1]) + first[:, None]
    inside = place < history.shape[1]
    return np.where(inside, np.take_along_axis(history, np.where(inside, place, 0), axis=1), PAD)


def pack(histories: IntArray) -> Packed:
    """Left-aligned histories ``[B, H]``; those that another one begins with become positions of it.

    Example:
        >>> import numpy as np
        >>> packed = pack(np.array([[3, -1, -1], [5, -1, -1], [3, 4, -1]]))
        >>> packed.items.tolist(), packed.sequence.tolist(), packed.position.tolist()
        ([[3, 4], [5, -1]], [0, 1, 0], [0, 0, 1])
    """
    lengths = (histories != PAD).sum(axis=1)
    longest = max(1, int(lengths.max(initial=0)))
    shown = histories[:, :longest]
    # big-endian bytes sort as the numbers do, and an end sorts first: what a history begins with stands right before it
    order = np.argsort((shown + 1).astype(">u4").view(f"S{4 * longest}")[:, 0], kind="stable")
    lines = shown[order]
    begins = np.zeros(len(lines), dtype=np.bool_)
    begins[:-1] = ((lines[:-1] == lines[1:]) | (lines[:-1] == PAD)).all(axis=1)
    sequence = np.empty(len(lines), dtype=np.int64)
    sequence[order] = np.concatenate([[0], np.cumsum(~begins)[:-1]])
    return Packed(lines[~begins], sequence, lengths - 1)


class Windows:
    """From which item on the histories of training rows are read, and which of them share a forward.

    A user's full windows begin one item later each. Read from the next multiple of ``stride`` on, ``stride`` of them
    begin alike. What a row leaves out is a function of the row, whatever batch it is in.

    Args:
        train: training rows, those of a user in time order.
        stride: 1 leaves out nothing.

    Example (windows of 2; the third row begins at the user's second item, and from the third on it is read):
        >>> import numpy as np
        >>> history = np.array([[-1, 4], [4, 5], [5, 6], [6, 7]])
        >>> rows = Rows(np.arange(4), np.zeros(4, np.int64), history, np.array([5, 6, 7, 8]))
        >>> windows = Windows(rows, stride=2)
        >>> windows.leave(rows).tolist(), windows.shared(rows).tolist()
        ([0, 0, 1, 0], [0, 0, 1, 1])
    """

    def __init__(self, train: Rows, stride: int) -> None:
        order = np.lexsort((np.arange(len(train)), train.user))
        rows = train[order]
        lengths = (rows.history != PAD).sum(axis=1)
        goes_on = np.zeros(len(rows), dtype=np.bool_)
        if len(rows) > 1:
            next_one = np.concatenate([rows.history[:-1, 1:], rows.target[:-1, None]], axis=1)
            goes_on[1:] = (rows.user[1:] == rows.user[:-1]) & (next_one == rows.history[1:]).all(axis=1)
        chain = np.cumsum(~goes_on) - 1
        heads = np.flatnonzero(~goes_on)
        # items before the row, counted from the first item that the chain shows
        before = lengths[heads][chain] + np.arange(len(rows)) - heads[chain]
        begin = -(-(before - lengths) // stride) * stride
        leave, group = np.empty(len(rows), np.int64), np.empty(len(rows), np.int64)
        leave[order] = np.minimum(begin - (before - lengths), np.maximum(lengths - 1, 0))
        new = np.ones(len(rows), dtype=np.bool_)
        new[1:] = (chain[1:] != chain[:-1]) | (begin[1:] != begin[:-1])
        group[order] = np.cumsum(new) - 1
        by_id = np.argsort(train.id)
        self._ids, self._leave, self._group = train.id[by_id], leave[by_id], group[by_id]

    @classmethod
    def of(cls, train: Rows, stride: int) -> Windows | LazyWindows:
        """For rows in memory, or on the disk."""
        return LazyWindows(train, stride) if isinstance(train, LazyRows) else cls(train, stride)

    def _found(self, rows: Rows) -> tuple[IntArray, IntArray]:
        """Where the rows stand among the training rows, and whether they do (0 or 1)."""
        place = np.minimum(np.searchsorted(self._ids, rows.id), max(len(self._ids) - 1, 0))
        return place, (self._ids[place] == rows.id).astype(np.int64)

    def leave(self, rows: Rows) -> IntArray:
        """``[B]`` how many of its oldest items each row leaves out; 0 for rows of other splits."""
        place, there = self._found(rows)
        return self._leave[place] * there

    def shared(self, rows: Rows) -> IntArray:
        """``[B]`` a number for each row; training rows with the same one begin alike."""
        return self._group[self._found(rows)[0]]


class LazyWindows:
    """:class:`Windows` of rows that follow from sequences: a row's place in its sequence says all.

    Example:
        >>> import numpy as np
        >>> place, starts = np.array([1]), np.array([0, 4])
        >>> rows = LazyRows(np.array([4, 5, 6, 7, 8]), np.array([0]), np.array([0]), place, starts, window=2)
        >>> windows = LazyWindows(rows, stride=2)
        >>> windows.leave(rows[:]).tolist(), windows.shared(rows[:]).tolist()
        ([0, 0, 1, 0], [0, 0, 1, 1])
    """

    def __init__(self, train: LazyRows, stride: int) -> None:
        self._train, self._stride = train, stride
        first, count = train.per_sequence()
        # what the first row does not show is not counted
        self._full = np.maximum(first, train.window)
        groups = np.where(count > 0, -(-np.maximum(first + count - 1 - self._full, 0) // stride) + 1, 0)
        self._groups = np.cumsum(groups) - groups

    def _beyond(self, rows: Rows) -> tuple[IntArray, IntArray, IntArray, IntArray]:
        """Of each row: sequence, place in it, items that its full window has moved on, whether it is of training."""
        number = rows.id - self._train.first_id
        there = (number >= 0) & (number < len(self._train))
        sequence, place = self._train.placed(np.where(there, number, 0))
        return sequence, place, np.maximum(place - self._full[sequence], 0), there.astype(np.int64)

    def leave(self, rows: Rows) -> IntArray:
        """``[B]`` how many of its oldest items each row leaves out; 0 for rows of other splits."""
        _, place, moved, there = self._beyond(rows)
        shown = np.minimum(place, self._train.window)
        leave: IntArray = np.minimum(-moved % self._stride, np.maximum(shown - 1, 0)) * there
        return leave

    def shared(self, rows: Rows) -> IntArray:
        """``[B]`` a number for each row; training rows with the same one begin alike."""
        sequence, _, moved, _ = self._beyond(rows)
        shared: IntArray = self._groups[sequence] - (-moved // self._stride)
        return shared
