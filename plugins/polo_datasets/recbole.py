"""The source ``recbole``: tables in the form that RecBole calls atomic files.

Fields stand between tabs; the first line names each with its type, such as ``user_id:token`` or ``timestamp:float``.
Knows these files; splitting is done by ``interactions``.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from polo import Context, InputError, ItemTable, Splits
from polo_datasets.files import find_folder, open_text
from polo_datasets.interactions import Columns, split
from polo_datasets.recbole_options import RecBoleOptions


class RecBole:
    """The data source ``recbole``.

    Items of the catalogue are those of the item file, in its order, then those that are in no line of it.
    """

    def __init__(self, options: RecBoleOptions, context: Context) -> None:
        self.options, self.context = options, context

    def load(self) -> Splits:
        """Reads the files.

        Raises:
            InputError: a file or a field is missing, or a line does not fit (file and line are named).
        """
        o = self.options
        names = [f"{o.name}.{word}.inter" for word in o.benchmark_filename] or [f"{o.name}.inter"]
        asked = o.title_field is not None or bool(o.facts)
        folder, looked = find_folder(o.path, o.name, self.context.cache, [*names, *([f"{o.name}.item"] * asked)])
        if folder is None:
            raise InputError(
                f"no data for {o.name!r}; looked at {'; '.join(looked)}",
                where="data",
                fix="set data.path, or POLO_DATA to the folder above it",
            )
        described = self._described(folder / f"{o.name}.item") if (folder / f"{o.name}.item").is_file() else {}
        users: dict[str, int] = {}
        items = {key: at for at, key in enumerate(described)}
        wanted = [o.user_field, o.item_field]
        wanted += [o.time_field] if o.time_field is not None else []
        wanted += [o.rating_field] if o.min_rating is not None else []
        rows: list[list[float]] = []
        part: list[int] = []
        for number, name in enumerate(names):
            for where, (user, item, *numbers) in read_fields(folder / name, wanted):
                rows.append([_number(text, where) for text in numbers])
                part += [number]
                users.setdefault(user, len(users))
                items.setdefault(item, len(items))
                rows[-1][:0] = users[user], items[item]
        if not rows:
            raise InputError(
                "empty data set: no interactions", where=str(folder / names[0]), fix="give a file with lines"
            )
        table = np.array(rows, np.float64).T
        columns = Columns(
            table[0].astype(np.int64),
            table[1].astype(np.int64),
            table[2] if o.time_field is not None else None,
            table[-1] if o.min_rating is not None else None,
            np.array(part, np.int64) if o.benchmark_filename else None,
        )
        untitled = 0 if o.title_field is None else sum(not described.get(key, [""])[0] for key in items)
        return split(
            columns,
            self._table(list(items), described),
            o,
            name=o.name,
            form="atomic",
            licence=o.licence,
            notes={"items without a title": untitled},
            where=str(folder / names[0]),
        )

    def _described(self, path: Path) -> Mapping[str, Sequence[str]]:
        """Item -> its title (empty where none is asked for) and facts."""
        o, found = self.options, dict[str, Sequence[str]]()
        titled = [] if o.title_field is None else [o.title_field]
        for where, (item, *texts) in read_fields(path, [o.item_field, *titled, *o.facts]):
            told = [text.strip() for text in (texts if titled else ["", *texts])]
            if found.setdefault(item, told) != told:
                raise InputError(f"item {item!r} is there twice, with other texts", where=where)
        return found

    def _table(self, ids: Sequence[str], described: Mapping[str, Sequence[str]]) -> ItemTable:
        nothing = [""] * (1 + len(self.options.facts))
        told = [described.get(key, nothing) for key in ids]
        facts = {name: [one[1 + at] for one in told] for at, name in enumerate(self.options.facts)}
        return ItemTable([one[0] or key for key, one in zip(ids, told, strict=True)], list(ids), facts)


def read_fields(path: Path, names: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """``file:line`` and the named fields of each line of an atomic file.

    Raises:
        InputError: the file cannot be read, a field is not there, or a line has other fields than the first.
    """
    try:
        with open_text(path) as file:
            header = [field.partition(":")[0] for field in file.readline().rstrip("\r\n").split("\t")]
            missing = next((name for name in names if name not in header), None)
            if missing is not None:
                raise InputError(
                    f"no field {missing!r}; fields are {', '.join(header)}",
                    where=f"{path}:1",
                    fix="name it as the first line does, without its type",
                )
            at = [header.index(name) for name in names]
            for number, line in enumerate(file, 2):
                fields = line.rstrip("\r\n").split("\t")
                if fields == [""]:
                    continue
                if len(fields) != len(header):
                    raise InputError(
                        f"{len(fields)} fields, the first line has {len(header)}", where=f"{path}:{number}"
                    )
                yield f"{path}:{number}", [fields[i] for i in at]
    except (OSError, EOFError, zlib.error, UnicodeDecodeError) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), fix="check the file; was it cut off?") from error


def _number(text: str, where: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{text!r} is not a number", where=where, fix="give numbers, or name another field")
    return number
