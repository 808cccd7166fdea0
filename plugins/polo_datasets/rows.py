"""The generic source: rows with candidate lists, or interactions with an item table, from your own files.

Knows columns and split rules. Reading is done by ``files``, splitting by ``building``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polo import Context, InputError, ItemTable, Splits
from polo_datasets.building import by_user, finish, first_occurrences, leave_last_out, sequences_of, tied_times
from polo_datasets.files import column, need_file, read_records
from polo_datasets.lists import read_lists
from polo_datasets.options import RowsOptions


class RowsSource:
    """The data source ``rows``."""

    def __init__(self, options: RowsOptions, context: Context) -> None:
        self.options = options

    def load(self) -> Splits:
        """Reads the files.

        Raises:
            InputError: an option or a file is missing, or a record does not fit (file and line are named).
        """
        return read_lists(self.options) if self.options.form == "lists" else read_interactions(self.options)


def read_interactions(options: RowsOptions) -> Splits:
    """Events (user, item, time) and an item table -> splits."""
    for name, value in (("interactions", options.interactions), ("items", options.items)):
        if value is None:
            raise InputError(
                f"form interactions needs data.{name}", where="data", fix=f"set data.{name} to the path of a file"
            )
    events = need_file(Path(str(options.interactions)).expanduser(), "data.interactions")
    table = need_file(Path(str(options.items)).expanduser(), "data.items")
    titles, repeated_titles = read_items(table, options)
    number = {key: i for i, key in enumerate(titles)}
    user_name = options.user_column or "user"
    users: dict[str, int] = {}
    user, item, time = [], [], []
    for line, record in read_records(events):
        key = str(column(record, options.item_column, events, line, "item_column"))
        if key not in number:
            raise InputError(f"item {key!r} is not in {table}", where=f"{events}:{line}", fix="add it, with a title")
        who = str(column(record, user_name, events, line, "user_column"))
        user.append(users.setdefault(who, len(users)))
        item.append(number[key])
        time.append(_time(record, options, events, line))
    if not user:
        raise InputError("empty data set: no interactions", where=str(events), fix="give a file with events")
    order = np.lexsort((np.arange(len(user)), np.array(time), np.array(user, np.int64)))
    ordered_users, ordered_items = np.array(user, np.int64)[order], np.array(item, np.int64)[order]
    first = first_occurrences(ordered_users, ordered_items)
    sequences = sequences_of(ordered_users[first], ordered_items[first])
    tied = None if options.time_column is None else tied_times(ordered_users[first], np.array(time)[order][first])
    if options.split == "by_user":
        divided = by_user(sequences, options.history, options.min_history, options.seed)
    else:
        divided = leave_last_out(sequences, options.history, options.min_history)
    return finish(
        divided,
        name=options.name,
        form=f"interactions, {options.split}",
        items=ItemTable(list(titles.values()), list(titles)),
        licence=options.licence,
        notes={
            "interactions dropped: repeated user and item": int((~first).sum()),
            "items with the title of another item": repeated_titles,
        },
        where=str(events),
        tied_times=tied,
    )


def read_items(path: Path, options: RowsOptions) -> tuple[dict[str, str], int]:
    """Item -> title in the order of the table, and how many titles are not the first of their kind.

    Raises:
        InputError: an item twice with different titles, an empty title, or no item at all.
    """
    titles: dict[str, str] = {}
    for line, record in read_records(path):
        key = str(column(record, options.id_column, path, line, "id_column"))
        title = str(column(record, options.title_column, path, line, "title_column")).strip()
        if not title:
            raise InputError(f"item {key!r} has an empty title", where=f"{path}:{line}", fix="give it a title")
        if titles.setdefault(key, title) != title:
            raise InputError(f"item {key!r} is there twice, with another title", where=f"{path}:{line}")
    if not titles:
        raise InputError("empty data set: no items", where=str(path), fix="give a file with items")
    return titles, len(titles) - len(set(titles.values()))


def _time(record: Mapping[str, Any], options: RowsOptions, path: Path, line: int) -> float:
    if options.time_column is None:
        return 0.0
    value = column(record, options.time_column, path, line, "time_column")
    try:
        time = float(value)
    except (TypeError, ValueError):
        time = math.nan
    if not math.isfinite(time):
        raise InputError(
            f"{options.time_column!r} is {value!r}, not a number to order by",
            where=f"{path}:{line}",
            fix="give seconds, or set data.time_column to null to keep the order of the file",
        )
    return time
