"""Finished cells on the disk: one JSON file with figures, and beside it a folder with each cell's rows."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ladder_bench.cells import Cell
from polo import InputError
from polo.store.files import whole_file, write_json

#: a metric's name -> a value of each row
Columns = Mapping[str, np.ndarray]


class Kept:
    """Figures of finished cells.

    Args:
        file: the JSON file, whole at any time; ``FILE.rows/`` beside it holds an ``.npz`` for each cell.
        settings: what all cells share; ``None``: whatever the file says.

    Raises:
        InputError: the file holds cells of other settings.
    """

    def __init__(self, file: Path, settings: Mapping[str, Any] | None) -> None:
        self._file, self._rows = file, file.with_name(file.name + ".rows")
        found = json.loads(file.read_text("utf-8")) if file.is_file() else {"settings": settings, "cells": {}}
        if settings is not None and found["settings"] != settings:
            raise InputError(f"the cells in this file have other settings: {found['settings']} there, {settings} here",
                             where=str(file), fix="choose another --out, or give the same settings")  # fmt: skip
        self._settings, self.cells = found["settings"], dict(found["cells"])

    def add(self, cell: Cell, figures: Mapping[str, Any]) -> None:
        """Keeps a finished cell; its rows first, so that a cell in the file has them."""
        columns = {name: column.astype(np.int32 if column.dtype.kind == "i" else np.float32)
                   for name, column in figures["rows"].items()}  # fmt: skip
        with whole_file(self._place(cell.key)) as temporary, temporary.open("wb") as file:
            np.savez_compressed(file, **columns)
        self.cells[cell.key] = {name: value for name, value in figures.items() if name != "rows"}
        write_json(self._file, {"settings": self._settings, "cells": self.cells})

    def rows(self, key: str) -> Columns:
        """Metrics of a cell's rows."""
        with np.load(self._place(key)) as found:
            return dict(found)

    def _place(self, key: str) -> Path:
        return self._rows / (key.replace("/", "_").replace(" + ", "+") + ".npz")
