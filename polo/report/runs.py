"""Reads what finished runs left behind. Knows the files of a run folder; computes nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polo.data import FloatArray, IntArray
from polo.errors import InputError
from polo.evaluate.metrics import MODEL
from polo.store.shapes import Provenance, Results, read

_AGAIN = "polo eval RUN writes it anew"


@dataclass(frozen=True)
class Finished:
    """One finished run.

    Args:
        path: its folder.
        name: of the recipe (with the profile's name).
        recipe: the resolved recipe as plain data.
        provenance: all of ``provenance.json``.
        results: all of ``results.json``.
        rows, users: int64 ``[N]``, the evaluated rows in ascending order of their id, and whose they are.
        values: system -> metric -> float64 ``[N]``.
    """

    path: Path
    name: str
    recipe: Mapping[str, Any]
    provenance: Mapping[str, Any]
    results: Mapping[str, Any]
    rows: IntArray
    users: IntArray
    values: Mapping[str, Mapping[str, FloatArray]]

    @property
    def protocol(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.results["protocol"]
        return found


def open_run(path: Path) -> Finished:
    """A finished run with its values of rows.

    Raises:
        InputError: a file is missing or damaged.
    """
    if not (path / "results.json").is_file():
        raise InputError(
            "this is not the folder of a finished run",
            where=str(path / "results.json"),
            fix="`polo ls runs` lists the runs here; an unfinished one goes on with --resume RUN",
        )
    results = read(path / "results.json", Results, fix=_AGAIN)
    provenance = read(path / "provenance.json", Provenance, fix="restore the file, or run the recipe again")
    place = path / "eval" / "per_row.parquet"
    table = read_table(place)
    ids, users = (whole_column(table, name, place, integer=True) for name in ("row", "user"))
    order = np.argsort(ids, kind="stable")
    values: dict[str, dict[str, FloatArray]] = {}
    for column in table.column_names:
        system, slash, metric = column.partition("/")
        if slash:
            found: FloatArray = whole_column(table, column, place).astype(np.float64)
            if not np.isfinite(found).all():
                raise InputError(f"column {column!r} has values that are no numbers", where=str(place), fix=_AGAIN)
            values.setdefault(system, {})[metric] = found[order]
    if MODEL not in values or not len(ids):
        raise InputError(f"holds no values of system {MODEL!r}", where=str(place), fix=_AGAIN)
    recipe = provenance["recipe"]
    return Finished(path.resolve(), recipe["name"], recipe, provenance, results, ids[order], users[order], values)


def read_table(path: Path) -> Any:
    """A Parquet file of a run.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), fix=_AGAIN) from error


def whole_column(table: Any, name: str, path: Path, *, integer: bool = False, lists: bool = False) -> Any:
    """A column of numbers, or of lists of numbers, as numpy; each row with a value.

    Raises:
        InputError: there is none of this name, form and fullness.
    """
    if table.column_names.count(name) != 1:
        raise InputError(f"has no column {name!r}", where=str(path), fix=_AGAIN)
    column = table.column(name)
    full, kind = not column.null_count, column.type
    if lists and pa.types.is_list(kind):
        full, kind = full and not column.combine_chunks().flatten().null_count, kind.value_type
    number = pa.types.is_integer(kind) or (not integer and (pa.types.is_floating(kind) or pa.types.is_boolean(kind)))
    if not full or not number or lists != pa.types.is_list(column.type):
        what = "lists of numbers" if lists else "numbers"
        raise InputError(f"column {name!r} is not of {what} alone", where=str(path), fix=_AGAIN)
    return column.to_numpy()


def read_margins(path: Path, system: str) -> FloatArray:
    """``[N]`` score of the target minus the best other score, of one system of a run; ``inf`` where it stands alone.

    Raises:
        InputError: the file is missing or damaged.
    """
    if "items" not in read_table(path / "eval" / f"scores-{system}.parquet").column_names:
        _, target, listed, scores = read_scores(path, system)
        own = listed == target[:, None]
        margins: FloatArray = scores[own] - np.where(own, -np.inf, scores).max(axis=1)
        return margins
    return _margins_of_best(path / "eval" / f"scores-{system}.parquet")


def _margins_of_best(place: Path) -> FloatArray:
    """The same from what is kept of a whole catalogue: the target's score, and the best items with theirs."""
    table = read_table(place)
    target, score = whole_column(table, "target", place, integer=True), whole_column(table, "score", place)
    items = whole_column(table, "items", place, integer=True, lists=True)
    scores = whole_column(table, "scores", place, lists=True)
    other = np.full(len(target), -np.inf)
    for row, (listed, given) in enumerate(zip(items, scores, strict=True)):
        if len(listed) != len(given):
            raise InputError("its best items and their scores differ in number", where=str(place), fix=_AGAIN)
        other[row] = max((s for i, s in zip(listed[:2], given[:2], strict=True) if i != target[row]), default=-np.inf)
    return np.asarray(score - other, np.float64)


def read_scores(path: Path, system: str) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Row ids ``[N]``, targets ``[N]``, candidates ``[N, n]`` and scores ``[N, n]`` of one system of a run.

    Raises:
        InputError: the file is missing or damaged, or its lists are none that can be ranked.
    """
    place = path / "eval" / f"scores-{system}.parquet"
    table = read_table(place)
    ids, target = (whole_column(table, name, place, integer=True) for name in ("row", "target"))
    lists = whole_column(table, "candidates", place, integer=True, lists=True)
    scores = whole_column(table, "scores", place, lists=True)
    lengths = {len(one) for one in (*lists, *scores)}
    if len(lengths) != 1 or 0 in lengths:
        raise InputError("its lists differ in length", where=str(place), fix=_AGAIN)
    listed = np.stack(lists).astype(np.int64)
    if ((listed == target[:, None]).sum(axis=1) != 1).any():
        raise InputError("has a list that does not hold its target once", where=str(place), fix=_AGAIN)
    return ids, target, listed, np.stack(scores).astype(np.float64)
