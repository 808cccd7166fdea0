"""The generic source: rows with candidate lists, or interactions with an item table, from your own files.

Knows columns. Reading is done by ``files``, splitting by ``interactions``.
"""

from __future__ import annotations

import math
from collections.abc import Container, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from polo import Context, InputError, ItemTable, Splits
from polo_datasets.events import TEST, TRAIN, VALID
from polo_datasets.files import column, need_file, read_records
from polo_datasets.interactions import Columns, split
from polo_datasets.lists import read_lists
from polo_datasets.options import RowsOptions


class RowsSource:
    """The data source ``rows``."""

    def __init__(self, options: RowsOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Reads the files.

        Raises:
            InputError: an option or a file is missing, or a record does not fit (file and line are named).
        """
        if self.options.form == "lists":
            return read_lists(self.options)
        if self.options.mapped:
            from polo_datasets.mapped.source import load  # pyarrow, which only this form needs

            return load(self.options, self.context)
        return read_interactions(self.options)


def read_interactions(options: RowsOptions) -> Splits:
    """Events (user, item, time) and an item table -> splits."""
    titles, repeated_titles = item_titles(options)
    files = event_files(options)
    number = {key: i for i, key in enumerate(titles)}
    users: dict[str, int] = {}
    user, item, time, rating, part = [], [], [], [], []
    for which, events in files.items():
        for line, record in read_records(events):
            who, key, when, rated = read_event(record, options, number, events, line)
            user.append(users.setdefault(who, len(users)))
            item.append(number[key])
            part.append(which)
            time.append(when)
            rating.append(rated)
    where = str(files[TRAIN])
    if not user:
        raise InputError("empty data set: no interactions", where=where, fix="give a file with events")
    columns = Columns(
        np.array(user, np.int64),
        np.array(item, np.int64),
        np.array(time) if options.time_column is not None else None,
        np.array(rating) if options.min_rating is not None else None,
        np.array(part, np.int64) if len(files) > 1 else None,
    )
    return split(
        columns,
        ItemTable(list(titles.values()), list(titles)),
        options,
        name=options.name,
        form="interactions",
        licence=options.licence,
        notes={"items with the title of another item": repeated_titles},
        where=where,
    )


def item_titles(options: RowsOptions) -> tuple[dict[str, str], int]:
    """What :func:`read_items` gives of the item table, which form interactions needs."""
    if options.items is None:
        raise InputError("form interactions needs data.items", where="data", fix="set data.items to the path of a file")
    return read_items(need_file(Path(options.items).expanduser(), "data.items"), options)


def read_event(
    record: Mapping[str, Any], options: RowsOptions, items: Container[str], path: Path, line: int
) -> tuple[str, str, float, float]:
    """User, item, time and rating of a record; 0 for a number that is not asked for.

    Raises:
        InputError: a value is missing or no number, or the item is not in the table (file and line are named).
    """
    key = str(column(record, options.item_column, path, line, "item_column"))
    if key not in items:
        table = Path(str(options.items)).expanduser()
        raise InputError(f"item {key!r} is not in {table}", where=f"{path}:{line}", fix="add it, with a title")
    who = str(column(record, options.user_column or "user", path, line, "user_column"))
    time = rating = 0.0
    if options.time_column is not None:
        time = _number(record, options.time_column, "time_column", path, line)
    if options.min_rating is not None:
        rating = _number(record, options.rating_column, "rating_column", path, line)
    return who, key, time, rating


def event_files(options: RowsOptions) -> Mapping[int, Path]:
    """The file of all events, as training; or one for each part."""
    given = {"train": options.train, "valid": options.valid, "test": options.test}
    if options.interactions is not None:
        if any(given.values()):
            raise InputError(
                "events are in one file, or in three", where="data", fix="leave out data.interactions, or data.train, "
                "data.valid and data.test",
            )  # fmt: skip
        return {TRAIN: need_file(Path(options.interactions).expanduser(), "data.interactions")}
    if not any(given.values()):
        raise InputError(
            "form interactions needs data.interactions, or data.train, data.valid and data.test", where="data",
            fix="set data.interactions to the path of a file",
        )  # fmt: skip
    missing = [name for name, value in given.items() if value is None]
    if missing:
        raise InputError(f"data.{missing[0]} is not given", where="data", fix="give all three parts")
    return {
        part: need_file(Path(str(value)).expanduser(), f"data.{name}")
        for part, (name, value) in zip((TRAIN, VALID, TEST), given.items(), strict=True)
    }


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


def _number(record: Mapping[str, Any], name: str, option: str, path: Path, line: int) -> float:
    value = column(record, name, path, line, option)
    try:
        number = float(value)
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number):
        fix = "or set data.time_column to null to keep the order of the file" if option == "time_column" else ""
        raise InputError(
            f"{name!r} is {value!r}, not a number to {'order' if fix else 'compare'} by",
            where=f"{path}:{line}",
            fix=", ".join(["give numbers", fix] if fix else ["give numbers"]),
        )
    return number
