"""From a Parquet file, batch by batch, to a file of numbered events in the order of the first. Sorts nothing.

Words of users and items become numbers as ``rows.read_interactions`` numbers them: users by when they first occur,
items by their place in the item table. Held in memory are a batch, a number for each word, and a count for each user.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
from pyarrow import parquet

from polo import FloatArray, InputError, IntArray

#: an event as it is written; numbers of users and items are far below 2^31
EVENT: Final = np.dtype([("user", "<i4"), ("item", "<i4"), ("time", "<f8")])
#: lines of a batch
_BATCH: Final = 1 << 18
_BUFFER: Final = 1 << 20


@dataclass(frozen=True)
class Asked:
    """What is read of an events file.

    Args:
        path: the Parquet file.
        user, item: columns of words or numbers.
        time, rating: columns of numbers, or ``None`` where they play no part.
        least: events with a lower rating are left out.
        items: item -> its place in the item table.
        refuse: raises the error of a record that does not fit (the record, and its line).
    """

    path: Path
    user: str
    item: str
    time: str | None
    rating: str | None
    least: float
    items: Mapping[str, int]
    refuse: Callable[[Mapping[str, Any], int], object]


@dataclass(frozen=True)
class Read:
    """What was read: M events in a file, of which some were left out.

    Args:
        low: how many were left out for their rating.
        by_user: int64 ``[users]`` events of each user, of those that are left.
        by_item: int64 ``[items]`` the same of each item.
    """

    low: int
    by_user: IntArray
    by_item: IntArray


def read(asked: Asked, events: Path) -> Read:
    """Writes every event that is left to ``events``, as :data:`EVENT`.

    Raises:
        InputError: no Parquet, a column is missing, or a record does not fit (file and line are named).
    """
    users: dict[str, int] = {}
    by_user, by_item = np.zeros(1 << 10, np.int64), np.zeros(len(asked.items), np.int64)
    low = 0
    with events.open("wb") as out:
        for line, batch in _batches(asked):
            user, item = _users(batch.column(asked.user), users), _items(batch.column(asked.item), asked.items)
            numbers = {name: _numbers(batch.column(name)) for name in (asked.time, asked.rating) if name is not None}
            good = (user >= 0) & (item >= 0)
            for values in numbers.values():
                good &= np.isfinite(values)
            if not good.all():
                _refuse(asked, line + int(np.argmin(good)))
            made = np.empty(len(user), EVENT)
            made["user"], made["item"] = user, item
            made["time"] = 0 if asked.time is None else numbers[asked.time]
            if asked.rating is not None:
                kept = ~(numbers[asked.rating] < asked.least)
                low, made = low + int((~kept).sum()), made[kept]
            if len(users) > len(by_user):
                by_user = np.concatenate([by_user, np.zeros(len(users), np.int64)])
            by_user += np.bincount(made["user"], minlength=len(by_user))
            by_item += np.bincount(made["item"], minlength=len(by_item))
            made.tofile(out)
    return Read(low, by_user[: len(users)], by_item)


def _batches(asked: Asked) -> Iterator[tuple[int, pa.RecordBatch]]:
    """The asked columns, some lines at a time, with the number (from 1) of the first line."""
    wanted = [name for name in (asked.item, asked.user, asked.time, asked.rating) if name is not None]
    try:
        with parquet.ParquetFile(asked.path, buffer_size=_BUFFER, pre_buffer=False) as file:
            if not file.metadata.num_rows:
                return
            if set(wanted) - set(file.schema_arrow.names):
                _refuse(asked, 1)
            line = 1
            for batch in file.iter_batches(_BATCH, columns=wanted, use_threads=False):
                yield line, batch
                line += len(batch)
    except pa.ArrowException as error:
        raise InputError(f"not Parquet: {error}", where=str(asked.path)) from error


def _refuse(asked: Asked, line: int) -> None:
    """Raises the error of a line, as who reads record by record gives it."""
    start = 1
    with parquet.ParquetFile(asked.path) as file:
        for batch in file.iter_batches(_BATCH):
            if line < start + len(batch):
                asked.refuse(batch.slice(line - start, 1).to_pylist()[0], line)
                break
            start += len(batch)
    raise AssertionError(f"line {line} is good when it is read alone")


def _users(column: pa.Array, users: dict[str, int]) -> IntArray:
    """A number for each word, new ones in the order in which they occur; -1 for none."""
    words, place = _words(column)
    return np.append(np.array([users.setdefault(word, len(users)) for word in words], np.int64), -1)[place]


def _items(column: pa.Array, items: Mapping[str, int]) -> IntArray:
    """The item's place in the table; -1 for one that is not in it, and for none."""
    words, place = _words(column)
    return np.append(np.array([items.get(word, -1) for word in words], np.int64), -1)[place]


def _words(column: pa.Array) -> tuple[list[str], IntArray]:
    """The different values as words, in the order in which they occur, and which of them each value is; -1 for none."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    plain = (pa.types.is_integer, pa.types.is_string, pa.types.is_large_string)
    if not any(fits(column.type) for fits in plain):  # others may be equal and yet be written in different ways
        column = pa.array([None if value is None else str(value) for value in column.to_pylist()], pa.string())
    coded = column.dictionary_encode()
    place = coded.indices.fill_null(-1).to_numpy(zero_copy_only=False).astype(np.int64)
    return [str(value) for value in coded.dictionary.to_pylist()], place


def _numbers(column: pa.Array) -> FloatArray:
    """float64 of each value, not a number for what is none."""
    if pa.types.is_integer(column.type) or pa.types.is_floating(column.type):
        values: npt.NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
        return values
    return np.array([number(value) for value in column.to_pylist()], np.float64)


def number(value: Any) -> float:
    """The value as a number; not a number for what is none, or has no end."""
    try:
        found = float(value)
    except (TypeError, ValueError):
        return math.nan
    return found if math.isfinite(found) else math.nan
