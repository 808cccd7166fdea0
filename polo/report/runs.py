"""Reads what finished runs left behind. Knows the files of a run folder; computes nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from polo.data import FloatArray, IntArray
from polo.errors import InputError


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


def read_json(path: Path) -> Any:
    """A JSON file of a run.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise InputError("this is not the folder of a finished run", where=str(path), fix="`polo ls runs` lists the "
                         "runs here; an unfinished one goes on with --resume RUN") from None  # fmt: skip
    except (OSError, ValueError) as error:
        raise InputError(
            f"cannot be read: {error}", where=str(path), fix="evaluate the run again: polo eval RUN"
        ) from error


def open_run(path: Path) -> Finished:
    """A finished run with its values of rows.

    Raises:
        InputError: a file is missing or damaged.
    """
    results, provenance = read_json(path / "results.json"), read_json(path / "provenance.json")
    table = read_table(path / "eval" / "per_row.parquet")
    try:
        ids = table.column("row").to_numpy()
        order = np.argsort(ids, kind="stable")
        values: dict[str, dict[str, FloatArray]] = {}
        for column in table.column_names:
            system, slash, metric = column.partition("/")
            if slash:
                values.setdefault(system, {})[metric] = table.column(column).to_numpy()[order]
        recipe = provenance["recipe"]
        return Finished(path.resolve(), recipe["name"], recipe, provenance, results, ids[order],
                        table.column("user").to_numpy()[order], values)  # fmt: skip
    except KeyError as error:
        raise InputError(
            f"{error} is missing in its files", where=str(path), fix="polo eval RUN writes them anew"
        ) from error


def read_table(path: Path) -> Any:
    """A Parquet file of a run.

    Raises:
        InputError: it is missing or damaged.
    """
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"cannot be read: {error}", where=str(path), fix="polo eval RUN writes it anew") from error


def read_scores(path: Path, system: str) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Row ids ``[N]``, targets ``[N]``, candidates ``[N, n]`` and scores ``[N, n]`` of one system of a run."""
    table = read_table(path / "eval" / f"scores-{system}.parquet")
    ids, target = table.column("row").to_numpy(), table.column("target").to_numpy()
    lists = np.array(table.column("candidates").to_pylist(), np.int64).reshape(len(ids), -1)
    scores = np.array(table.column("scores").to_pylist(), np.float64).reshape(len(ids), -1)
    return ids, target, lists, scores
