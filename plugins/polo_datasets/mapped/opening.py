"""From columns in files to splits, which are those that ``building.leave_last_out`` makes of the same events.

Knows the columns that ``sorting`` writes. Rows follow from the events and are made when they are asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polo import IntArray, KnownOnDisk, LazyRows, Sequences
from polo_datasets.mapped.sorting import COLUMNS


@dataclass(frozen=True)
class Opened:
    """The three parts, and what else splits hold of them.

    Args:
        users: how many users there are.
        length: int64 ``[users]``, events of each.
        events: whole numbers ``[M]``, items of all events by user and time.
    """

    train: LazyRows
    valid: LazyRows
    test: LazyRows
    sequences: Sequences
    known_train: KnownOnDisk
    known_all: KnownOnDisk
    length: IntArray
    events: np.ndarray
    notes: Mapping[str, int]


def whole(folder: Path, sizes: Mapping[str, int]) -> bool:
    """Whether all columns are there, each as long as it was."""
    paths = {name: folder / name for name in COLUMNS}
    return all(path.is_file() and path.stat().st_size == sizes.get(name) for name, path in paths.items())


def open_columns(folder: Path, *, n_items: int, history: int, min_history: int) -> Opened:
    """Maps the columns of ``folder``; what is written to it later is room for numbers, see :class:`polo.LazyRows`."""
    column = {name: _mapped(folder / name, kind) for name, kind in COLUMNS.items()}
    length = column["length"]
    user = np.arange(len(length), dtype=np.int64)
    begin = np.cumsum(length) - length
    evaluated = length >= min_history + 2
    trained = length - 2 * evaluated
    parts: list[LazyRows] = []
    for place, count in (
        (np.full(len(length), min_history), np.maximum(trained - min_history, 0)),
        (length - 2, evaluated),
        (length - 1, evaluated),
    ):
        starts = np.append(0, np.cumsum(count)).astype(np.int64)
        first = sum(len(part) for part in parts)
        parts.append(
            LazyRows(
                column["events"], user, begin, place, starts, window=history, first_id=first, folder=folder
            )
        )  # fmt: skip
    some = trained > 0
    train, valid, test = parts
    return Opened(
        train,
        valid,
        test,
        Sequences(user[some], column["training"], np.append(0, np.cumsum(trained[some])).astype(np.int64)),
        KnownOnDisk(column["known_train"], column["marked_train"], n_items),
        KnownOnDisk(column["known_all"], column["marked_all"], n_items),
        length,
        column["events"],
        {"users without validation and test row: too short": len(length) - int(evaluated.sum())},
    )


def _mapped(path: Path, kind: str) -> np.ndarray:
    """The numbers of a file, which nobody may write to; a file with none cannot be mapped."""
    if not path.stat().st_size:
        return np.empty(0, kind)
    return np.asarray(np.memmap(path, kind, mode="r"))
