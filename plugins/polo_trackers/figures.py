"""What trackers say alike: names of figures, a recipe as flat settings, the final table. Knows no library."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from types import ModuleType
from typing import Any

from polo import InputError

#: columns of the final table
COLUMNS = ["system", "metric", "value", "low", "high"]
_PLACE = ("stage", "step")


def figures(line: Mapping[str, Any]) -> dict[str, float]:
    """Figures of a line under ``stage/name``; a step belongs to its stage, where it counts from 0.

    Example:
        >>> figures({"stage": "prefer", "step": 3, "loss": 0.5, "rewards/margins": 1, "cached": "abc"})
        {'prefer/loss': 0.5, 'prefer/rewards/margins': 1.0}
    """
    stage = line["stage"]
    return {
        f"{stage}/{name}": float(value)
        for name, value in line.items()
        if name not in _PLACE and isinstance(value, int | float)
    }


def settings(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe as dotted path -> value.

    Example:
        >>> settings({"seed": 3, "stages": {"sft": {"lr": 1e-4}}, "trackers": [{"use": "csv"}]})
        {'seed': 3, 'stages.sft.lr': 0.0001, 'trackers.0.use': 'csv'}
    """
    return dict(_flat(recipe, ""))


def _flat(value: Any, path: str) -> Iterator[tuple[str, Any]]:
    inner = value.items() if isinstance(value, Mapping) else enumerate(value) if isinstance(value, list | tuple) else ()
    if not isinstance(value, Mapping | list | tuple) or not value:
        yield path, value
    for key, below in inner:
        yield from _flat(below, f"{path}.{key}" if path else str(key))


def final(results: Mapping[str, Any]) -> list[list[Any]]:
    """Rows of the final table, in the order of :data:`COLUMNS`."""
    return [
        [system, metric, figure["value"], figure["low"], figure["high"]]
        for system, metrics in results["systems"].items()
        for metric, figure in metrics.items()
    ]


def summary(results: Mapping[str, Any]) -> dict[str, float]:
    """The model's metrics under ``final/name``."""
    return {f"final/{metric}": float(value) for system, metric, value, *_ in final(results) if system == "model"}


def markdown(columns: list[str], rows: list[list[Any]]) -> str:
    """A table as TensorBoard shows it; figures to four digits."""
    cells = [[f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in row] for row in rows]
    lines = [columns, ["---"] * len(columns), *cells]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def library(module: str, extra: str) -> ModuleType:
    """The library of a tracker.

    Raises:
        InputError: it is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise InputError(
            f"tracker '{extra}' needs {error.name}, which is not installed",
            where="trackers",
            fix=f'python -m pip install "polo-rec[{extra}]", or leave the tracker out',
        ) from error
