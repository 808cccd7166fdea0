"""MovieLens-100K with its timestamps, split leave-last-out.

Reads either ``interactions.csv.gz`` and ``items.csv.gz``, or GroupLens' own ``u.data`` and ``u.item``. Events are
ordered by (timestamp, order in the file); timestamps tie heavily, so the order in the file matters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import numpy as np

from polo import Context, InputError, ItemTable, Splits
from polo_datasets.building import finish, first_occurrences, leave_last_out, sequences_of, tied_times
from polo_datasets.files import column, find_folder, open_text, read_records
from polo_datasets.options import ML100KOptions

_FOLDER: Final = "ml-100k"
_TABLES: Final = ("interactions.csv.gz", "items.csv.gz")
_RAW: Final = ("u.data", "u.item")
LICENCE: Final = (
    "MovieLens 100K (GroupLens): research use; no redistribution and no commercial use without permission; "
    "cite Harper & Konstan 2015, doi 10.1145/2827872"
)
#: genre flags of u.item in the order of its columns, from GroupLens' u.genre
_GENRES: Final = (
    "unknown", "Action", "Adventure", "Animation", "Children's", "Comedy", "Crime", "Documentary", "Drama", "Fantasy",
    "Film-Noir", "Horror", "Musical", "Mystery", "Romance", "Sci-Fi", "Thriller", "War", "Western",
)  # fmt: skip

Events = list[tuple[int, int, int]]
Items = Mapping[int, tuple[str, str]]


class ML100K:
    """The data source ``ml100k``."""

    def __init__(self, options: ML100KOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Reads and splits.

        Raises:
            InputError: files missing or malformed.
        """
        options = self.options
        folder, events, items = self._read()
        if not events:
            raise InputError("empty data set: no interactions", where=str(folder))
        user, item, time = np.array(events, np.int64).T
        unknown = set(np.unique(item).tolist()) - set(items)
        if unknown:
            raise InputError(
                f"item {min(unknown)} is rated but has no title", where=str(folder), fix="get the item table"
            )
        order = np.lexsort((np.arange(len(user)), time, user))
        user, item, time = user[order], item[order], time[order]
        numbers = np.array(sorted(items), np.int64)
        item = np.searchsorted(numbers, item)
        first = first_occurrences(user, item)
        divided = leave_last_out(sequences_of(user[first], item[first]), options.history, options.min_history)
        titles = [items[i][0] for i in numbers.tolist()]
        if options.titles == "display":
            titles = [display_title(title) for title in titles]
        table = ItemTable(titles, [str(i) for i in numbers], {"genres": [items[i][1] for i in numbers.tolist()]})
        return finish(
            divided,
            name="ml100k",
            form=f"leave_last_out, {options.titles} titles",
            items=table,
            licence=LICENCE,
            notes={"ratings dropped: repeated user and item": int((~first).sum())},
            where=str(folder),
            tied_times=tied_times(user[first], time[first]),
        )

    def _read(self) -> tuple[Path, Events, Items]:
        cache = self.context.cache
        folder, looked = find_folder(self.options.path, _FOLDER, cache, _TABLES)
        if folder is not None:
            return folder, _events(folder / _TABLES[0]), _items(folder / _TABLES[1])
        folder, _ = find_folder(self.options.path, _FOLDER, cache, _RAW)
        if folder is not None:
            return folder, _raw_events(folder / _RAW[0]), _raw_items(folder / _RAW[1])
        raise InputError(
            f"MovieLens-100K was not found; looked at {'; '.join(looked)}",
            where="data.path",
            fix="download https://files.grouplens.org/datasets/movielens/ml-100k.zip, unpack it, and set data.path to "
            f"the folder with {' and '.join(_RAW)} (or {' and '.join(_TABLES)})",
        )


def display_title(title: str) -> str:
    """A title as people write it: no year, the article in front.

    Example:
        >>> display_title("Sting, The (1973)"), display_title("Postino, Il (1994)"), display_title("Kolya (1996)")
        ('The Sting', 'Il Postino', 'Kolya')
    """
    title = re.sub(r"\s*\((?:19|20)\d\d\)\s*$", "", title).strip() or title
    match = re.fullmatch(r"(.+), (The|A|An|Il|La|Le|Les|L'|El|Das|Der|Die|Los|Un|Una)", title)
    if match is None:
        return title
    space = "" if match[2].endswith("'") else " "
    return f"{match[2]}{space}{match[1]}"


def _events(path: Path) -> Events:
    events = []
    for line, record in read_records(path):
        values = [column(record, name, path, line, "path") for name in ("user", "item", "timestamp")]
        events.append(_numbers(values, path, line))
    return events


def _items(path: Path) -> Items:
    return {
        _numbers([column(record, "item", path, line, "path")] * 3, path, line)[0]: (
            str(column(record, "title", path, line, "path")),
            str(record.get("genres") or ""),
        )
        for line, record in read_records(path)
    }


def _raw_events(path: Path) -> Events:
    with open_text(path, "latin-1") as file:
        lines = [(number, line.split("\t")) for number, line in enumerate(file, 1) if line.strip()]
    return [_numbers([*fields[:2], *fields[3:]], path, number) for number, fields in lines]


def _raw_items(path: Path) -> Items:
    items = {}
    with open_text(path, "latin-1") as file:  # u.item is Latin-1, says its publisher's README by example
        for number, line in enumerate(file, 1):
            fields = line.rstrip("\r\n").split("|")
            if len(fields) != 5 + len(_GENRES) or not fields[0].isdecimal():
                raise InputError(f"not the {5 + len(_GENRES)} fields of u.item", where=f"{path}:{number}")
            genres = [genre for genre, flag in zip(_GENRES, fields[5:], strict=True) if flag == "1"]
            items[int(fields[0])] = (fields[1].strip(), "|".join(genres))
    return items


def _numbers(values: list[str], path: Path, line: int) -> tuple[int, int, int]:
    try:
        first, second, third = (int(value) for value in values)
    except ValueError as error:
        raise InputError(f"not whole numbers: {values}", where=f"{path}:{line}") from error
    return first, second, third
