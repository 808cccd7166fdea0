"""Numbered events in any order, of any number: sorted by user and time, and written as the columns that splits need.

Users are cut into parts of about as many events each. Events are put into a file for each part, and each part is
sorted in memory; so what is held does not grow with the events (but for a user with more of them than a part).
Knows the rule leave-last-out: of a user with enough events the last is test, the one before it validation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from polo import IntArray, KnownOnDisk
from polo_datasets.events import Events, in_order
from polo_datasets.mapped.reading import EVENT

#: events of a part; bounds memory, never the result
PART: Final = 1 << 20
#: parts at most, as each is a file
_PARTS: Final = 512
#: name of a column -> type of its numbers; each is a file of nothing but these
COLUMNS: Final = {
    "events": "<i4",  # items of all events, by user and time
    "length": "<i8",  # events of each user
    "training": "<i8",  # items of training events alone: as wide as whoever counts them wants them, or they are copied
    "known_train": "<i8",  # see polo.KnownOnDisk
    "known_all": "<i8",
    "marked_train": "u1",
    "marked_all": "u1",
}


@dataclass
class Sorted:
    """What was counted while sorting.

    Args:
        repeated: events that were left out, as an earlier one has the same user and item.
        neighbours: neighbouring events of one user.
        tied: those of them that have the same time.
    """

    repeated: int = 0
    neighbours: int = 0
    tied: int = 0


def sort(
    events: Path, by_user: IntArray, item_number: IntArray, folder: Path, *, min_history: int, timed: bool
) -> Sorted:
    """Writes :data:`COLUMNS` into ``folder``.

    Args:
        events: file of events, as :data:`EVENT`; users of it without an event are left out, the others keep their
            order.
        by_user: int64 ``[users]``, events of each user.
        item_number: int64 ``[items]``, the number that each item gets.
        folder: where the columns go; a folder for the parts is made in it, and removed.
        min_history: users with fewer than ``min_history + 2`` events are in training alone.
        timed: events have times; else their order in the file holds.
    """
    n_items, found = int(item_number.max(initial=-1)) + 1, Sorted()
    user_number = np.cumsum(by_user > 0) - 1
    parts = _parted(events, by_user, folder)
    files: dict[str, Any] = {name: (folder / name).open("wb") for name in COLUMNS if not name.startswith("marked")}
    try:
        for part in parts:
            held = np.fromfile(part, EVENT)
            part.unlink()
            user, item = user_number[held["user"]], item_number[held["item"]]
            ordered, _ = in_order(user, item, held["time"].astype(np.float64) if timed else None)
            found.repeated += len(held) - len(ordered)
            _count_ties(ordered, found)
            _, start, length = np.unique(ordered.user, return_index=True, return_counts=True)
            left = np.repeat(start + length, length) - np.arange(len(ordered))
            early = (left > 2) | np.repeat(length < min_history + 2, length)
            codes = ordered.user * n_items + ordered.item
            columns = {"events": ordered.item, "length": length, "training": ordered.item[early],
                       "known_train": np.sort(codes[early]), "known_all": np.sort(codes)}  # fmt: skip
            for name, column in columns.items():
                column.astype(COLUMNS[name]).tofile(files[name])
    finally:
        for file in files.values():
            file.close()
    for name in ("train", "all"):
        _mark(folder / f"known_{name}", folder / f"marked_{name}")
    return found


def _parted(events: Path, by_user: IntArray, folder: Path) -> list[Path]:
    """Files of events that follow each other by their users; within a file, events are in their order."""
    total = int(by_user.sum())
    size = max(PART, -(-total // _PARTS))
    part_of = (np.cumsum(by_user) - by_user) // size
    paths = [folder / f"part-{number}" for number in range(int(part_of.max(initial=0)) + 1)]
    for path in paths:
        path.touch()
    for start in range(0, total, PART):
        some = np.fromfile(events, EVENT, count=PART, offset=start * EVENT.itemsize)
        part = part_of[some["user"]]
        order = np.argsort(part, kind="stable")
        numbers, first = np.unique(part[order], return_index=True)
        for number, mine in zip(numbers.tolist(), np.split(order, first[1:]), strict=True):
            with paths[number].open("ab") as out:
                some[mine].tofile(out)
    return paths


def _count_ties(ordered: Events, found: Sorted) -> None:
    if ordered.time is not None:
        same_user = ordered.user[1:] == ordered.user[:-1]
        found.neighbours += int(same_user.sum())
        found.tied += int((ordered.time[1:] == ordered.time[:-1])[same_user].sum())


def _mark(codes: Path, marked: Path) -> None:
    """Writes the bits of sorted codes."""
    count = codes.stat().st_size // 8
    bits = KnownOnDisk.unmarked(marked, count)
    for start in range(0, count, PART):
        KnownOnDisk.mark(np.fromfile(codes, "<i8", count=PART, offset=8 * start), count, bits)
