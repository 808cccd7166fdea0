"""Reading tables from files, and finding the folder that holds them, with errors that name file and line.

Knows JSON, JSONL, CSV, TSV, Parquet and gzip. Knows no data set.
"""

from __future__ import annotations

import csv
import gzip
import json
import os
import zlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from polo import InputError

Record = tuple[int, Mapping[str, Any]]


def find_folder(path: str | None, folder: str, cache: Path, wanted: Sequence[str]) -> tuple[Path | None, list[str]]:
    """The first folder that holds all files in ``wanted``: the given path, else ``$POLO_DATA/folder``, else the cache.

    Returns:
        The folder, or ``None``; and the places that were looked at, in words.
    """
    places = [Path(path).expanduser()] if path is not None else []
    if path is None:
        home = os.environ.get("POLO_DATA")
        places += [Path(home).expanduser() / folder] if home else []
        places.append(cache / folder)
    looked: list[str] = []
    for place in places:
        missing = [name for name in wanted if not (place / name).is_file()]
        if not missing:
            return place, looked
        looked.append(f"{place} (no {', '.join(missing)})" if place.is_dir() else f"{place} (no such folder)")
    if path is None and not os.environ.get("POLO_DATA"):
        looked.append("$POLO_DATA (not set)")
    return None, looked


def need_file(path: Path, option: str) -> Path:
    """The path itself, if it is a file.

    Raises:
        InputError: nothing there, or a directory.
    """
    if path.is_dir():
        raise InputError(f"{path} is a directory, a file is needed", where=option, fix="name the file itself")
    if not path.is_file():
        raise InputError(f"no such file: {path.absolute()}", where=option, fix=f"set {option} to an existing file")
    return path


def open_text(path: Path, encoding: str = "utf-8") -> TextIO:
    """Opens a text file, unpacking ``.gz``."""
    if path.suffix == ".gz":
        return gzip.open(path, "rt", encoding=encoding, newline="")
    return path.open(encoding=encoding, newline="")


def read_records(path: Path) -> Iterator[Record]:
    """The records of a table as (line number, mapping); for Parquet the number is the row's, from 1.

    The form follows from the name: .jsonl, .json (one list), .csv, .tsv, .parquet; .gz may follow.

    Raises:
        InputError: the file cannot be read as what its name says; the error names file and line.
    """
    kind = Path(path.stem).suffix if path.suffix == ".gz" else path.suffix
    readers = {".jsonl": _jsonl, ".json": _json, ".csv": _csv, ".tsv": _tsv, ".parquet": _parquet}
    if kind not in readers:
        raise InputError(
            f"cannot tell what {path.name} is", where=str(path), fix=f"name it *{', *'.join(readers)}, or one with .gz"
        )
    try:
        yield from readers[kind](path)
    except UnicodeDecodeError as error:
        raise InputError(f"not UTF-8: {error.reason}", where=str(path), fix="save the file as UTF-8") from error
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), fix="check the file; was it cut off?") from error


def _jsonl(path: Path) -> Iterator[Record]:
    with open_text(path) as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except (json.JSONDecodeError, RecursionError) as error:
                raise InputError(f"not JSON: {error}", where=f"{path}:{number}", fix="one object a line") from error
            yield number, _mapping(record, path, number)


def _json(path: Path) -> Iterator[Record]:
    with open_text(path) as file:
        try:
            records = json.load(file)
        except json.JSONDecodeError as error:
            raise InputError(f"not JSON: {error.msg}", where=f"{path}:{error.lineno}", fix="mend the file") from error
        except RecursionError as error:
            raise InputError("nested too deeply", where=str(path), fix="give one list of objects") from error
    if not isinstance(records, list):
        raise InputError("holds no list", where=str(path), fix="give one list of objects, or use .jsonl")
    for number, record in enumerate(records, 1):
        yield number, _mapping(record, path, number)


def _mapping(record: object, path: Path, number: int) -> Mapping[str, Any]:
    if not isinstance(record, dict):
        raise InputError(f"{type(record).__name__} where an object is needed", where=f"{path}:{number}")
    return record


def _csv(path: Path, delimiter: str = ",") -> Iterator[Record]:
    with open_text(path) as file:
        reader = csv.DictReader(file, delimiter=delimiter, strict=True)
        try:
            for record in reader:
                if None in record or None in record.values():
                    raise InputError(
                        f"not as many fields as the header has ({len(reader.fieldnames or [])})",
                        where=f"{path}:{reader.line_num}",
                        fix="quote fields that hold the delimiter",
                    )
                yield reader.line_num, record
        except csv.Error as error:
            raise InputError(f"not CSV: {error}", where=f"{path}:{reader.line_num}") from error


def _tsv(path: Path) -> Iterator[Record]:
    return _csv(path, "\t")


def _parquet(path: Path) -> Iterator[Record]:
    import pyarrow as pa  # a heavy import that only this form needs
    from pyarrow import parquet

    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            source = pa.BufferReader(file.read())
        table = parquet.read_table(source)
    except pa.ArrowException as error:
        raise InputError(f"not Parquet: {error}", where=str(path)) from error
    yield from enumerate(table.to_pylist(), 1)


def column(record: Mapping[str, Any], name: str, path: Path, number: int, option: str) -> Any:
    """A value by column name.

    Raises:
        InputError: no such column, or nothing in it; names file, line and the columns that are there.
    """
    value = record.get(name)
    if value is None:
        raise InputError(
            f"no value in column {name!r}; columns are {', '.join(map(str, record)) or 'none'}",
            where=f"{path}:{number}",
            fix=f"set data.{option} to the name of the column",
        )
    return value
