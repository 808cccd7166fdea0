"""Who took what, perhaps when, and in which of the three parts: from such events to rows, sets and sequences.

Knows item numbers and times. Knows no file, and not how the parts came about: that is a split rule's business.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from polo import PAD, BoolArray, FloatArray, IntArray, Ragged, Rows
from polo_datasets.building import Divided, first_occurrences, next_item_rows, pairs, places, sequences_of

#: numbers of the parts
TRAIN: Final = 0
VALID: Final = 1
TEST: Final = 2


@dataclass(frozen=True)
class Events:
    """M events, user by user, each user's in time order.

    Args:
        user, item: int64 ``[M]``; no pair of the two stands there twice.
        time: float64 ``[M]``, or ``None`` where the order within a user means nothing.
    """

    user: IntArray
    item: IntArray
    time: FloatArray | None

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, index: IntArray | BoolArray) -> Events:
        return Events(self.user[index], self.item[index], None if self.time is None else self.time[index])


def divide(events: Events, part: IntArray, *, history: int, min_history: int, sets: bool) -> Divided:
    """Rows of the three parts.

    A training row is one event with the training events before it shown. Of the other parts, either each event is a
    row, after all events of this part and the parts before it that come before it; or (``sets``) each user is one row
    with all events of the part as what is relevant, after the parts before it.

    Args:
        events: M events.
        part: int64 ``[M]``: :data:`TRAIN`, :data:`VALID` or :data:`TEST`.
        history: how many items are shown at most; 0 where the order means nothing.
        min_history: rows with fewer items to show are dropped and counted.
        sets: see above.
    """
    made: list[Rows] = []
    dropped = {}
    for number, name in ((TRAIN, "training"), (VALID, "validation"), (TEST, "test")):
        several = sets and number != TRAIN
        rows, short = (_sets if several else _single)(events, part, number, history, min_history)
        dropped[f"{name} rows dropped: history shorter than {min_history}"] = short
        made.append(rows)
    training = events[part == TRAIN]
    sequences = sequences_of(training.user, training.item)
    train, valid, test = made
    return Divided(
        train,
        valid,
        test,
        sequences,
        known_train=pairs(sequences),
        known_all=(events.user, events.item),
        notes={**dropped, **_strangers(events, part)},
    )


def _single(events: Events, part: IntArray, number: int, history: int, least: int) -> tuple[Rows, int]:
    """A row for each event of a part; how many were dropped."""
    here = part <= number
    seen = events[here]
    sequences = sequences_of(seen.user, seen.item)
    mine = part[here] == number
    kept = mine & (places(sequences)[1] >= least)
    return next_item_rows(sequences, history, kept), int(mine.sum() - kept.sum())


def _sets(events: Events, part: IntArray, number: int, history: int, least: int) -> tuple[Rows, int]:
    """A row for each user with events in a part; how many were dropped."""
    mine, seen = events[part == number], events[part < number]
    answers = sequences_of(mine.user, mine.item)
    start, end = (np.searchsorted(seen.user, answers.user, side=side) for side in ("left", "right"))
    kept = np.flatnonzero(end - start >= least)
    place = end[:, None] + np.arange(-history, 0)
    inside = place >= start[:, None]
    # one more entry, for users of whom nothing is seen
    shown = np.where(inside, np.append(seen.item, PAD)[np.where(inside, place, -1)], PAD)
    relevant = Ragged(answers.items, answers.offsets)
    first = answers.items[answers.offsets[:-1]]
    rows = Rows(np.zeros(len(first), np.int64), answers.user, shown, first, relevant=relevant)
    return rows[kept], len(first) - len(kept)


def _strangers(events: Events, part: IntArray) -> Mapping[str, int]:
    """Users and items that no training event has."""
    found = {}
    for what, column in (("users", events.user), ("items", events.item)):
        found[f"{what} without a training event"] = len(np.setdiff1d(column[part != TRAIN], column[part == TRAIN]))
    return found


def in_order(
    user: IntArray, item: IntArray, time: FloatArray | None, part: IntArray | None = None
) -> tuple[Events, IntArray]:
    """Events by (user, time, place in the file); of a pair of user and item that is there twice only one stays.

    It is the first in this order; where parts are given, the first in the earliest part.

    Args:
        user, item, time: columns ``[M]``; without a time the order of the file holds.
        part: int64 ``[M]``, where a file has said it.

    Returns:
        The events, and for each of them its place in the given columns.

    Example:
        >>> events, at = in_order(np.array([1, 0, 1]), np.array([5, 5, 5]), np.array([9.0, 1.0, 2.0]))
        >>> events.user.tolist(), events.time.tolist(), at.tolist()
        ([0, 1], [1.0, 2.0], [1, 2])
    """
    place = np.arange(len(user), dtype=np.int64)
    when = place if time is None else time
    earliest = np.lexsort((place, when, np.zeros_like(place) if part is None else part))
    kept = earliest[first_occurrences(user[earliest], item[earliest])]
    kept = kept[np.lexsort((kept, when[kept], user[kept]))]
    return Events(user[kept], item[kept], None if time is None else time[kept]), kept
