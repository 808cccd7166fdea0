"""The tracker ``csv``: every figure in a line of its own, for any program that reads tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polo import Context, InputError, whole_file
from polo_trackers.figures import COLUMNS, final, settings
from polo_trackers.options import CsvOptions

HEADER = ("stage", "step", "metric", "value")


class Csv:
    """``metrics.csv`` (stage, step, metric, value), ``settings.csv`` and ``results.csv`` in ``trackers/`` of the run.

    A run that goes on adds to the same file; a figure that was there already is written once, with its newest value.
    """

    def __init__(self, options: CsvOptions, context: Context) -> None:
        if Path(options.file).name != options.file:
            raise InputError(f"{options.file!r} is no file name", where="trackers", fix="give a name without folders")
        self._name = options.file
        self._place: Path | None = None
        self._seen: dict[tuple[str, str, str], str] = {}
        self._changed = False

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        self._place = run / "trackers"
        self._place.mkdir(exist_ok=True)
        _write(self._place / "settings.csv", ("setting", "value"), [[k, v] for k, v in settings(recipe).items()])
        file = self._place / self._name
        if file.is_file():
            with file.open(encoding="utf-8", newline="") as old:
                rows = [row for row in csv.reader(old) if len(row) == len(HEADER)][1:]
            self._seen = {(stage, step, metric): value for stage, step, metric, value in rows}
        self._rewrite(file)

    def log(self, metrics: Mapping[str, Any]) -> None:
        stage, step = str(metrics["stage"]), str(metrics["step"])
        told = {k: v for k, v in metrics.items() if k not in HEADER and isinstance(v, int | float)}
        lines = {(stage, step, name): repr(value) for name, value in told.items()}
        new = [[*key, value] for key, value in lines.items() if key not in self._seen]
        self._changed |= any(self._seen.get(key, value) != value for key, value in lines.items())
        self._seen |= lines
        if self._place is not None and new:
            with (self._place / self._name).open("a", encoding="utf-8", newline="") as file:
                csv.writer(file, lineterminator="\n").writerows(new)

    def conclude(self, results: Mapping[str, Any]) -> None:
        if self._place is not None:
            _write(self._place / "results.csv", COLUMNS, final(results))

    def close(self) -> None:
        if self._place is not None and self._changed:
            self._rewrite(self._place / self._name)

    def _rewrite(self, file: Path) -> None:
        _write(file, HEADER, [[*key, value] for key, value in self._seen.items()])


def _write(file: Path, header: Any, rows: list[list[Any]]) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    with whole_file(file) as place:
        place.write_text(text.getvalue(), "utf-8")
