"""What the cells say together: mean and standard deviation of HR@1 by variant. Reads records; runs nothing."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

KINDS = ("seed", "noise", "threads")
HEADER = "| data | variant | runs | base HR@1, mean (sd) | SFT HR@1, mean (sd) | base, validation | by cell | CPU s |"


def read(folder: Path) -> list[dict[str, Any]]:
    """The records of finished cells, and of those that have come as far as their base."""
    return [json.loads(path.read_text("utf-8")) for path in sorted((folder / "cells").glob("*.json"))]


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation (n - 1) of some figures.

    Example:
        >>> spread([0.4, 0.42, 0.44]), spread([0.5]), spread([])
        ('.420 (.020)', '.500', '')
    """
    if not values:
        return ""
    mean = f"{statistics.mean(values):.3f}".lstrip("0")
    return mean if len(values) < 2 else f"{mean} ({f'{statistics.stdev(values):.3f}'.lstrip('0')})"


def table(records: Iterable[dict[str, Any]]) -> str:
    """One line for each data set and variant."""
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for record in records:
        groups.setdefault((record["data"], record["variant"]), []).append(record)
    lines = [HEADER, "|" + "---|" * (HEADER.count("|") - 1)]
    for (data, variant), group in groups.items():
        after = [record["sft"] for record in group if record["sft"] is not None]
        by_cell = " ".join(f"{r['disturbed']} {r['base']:.3f}" for r in group)
        cpu = statistics.mean(record["cpu_seconds"] for record in group)
        shown = [
            data, variant, str(len(group)), spread([r["base"] for r in group]), spread(after),
            spread([r["base_valid"] for r in group]), by_cell, f"{cpu:.0f}",
        ]  # fmt: skip
        lines.append("| " + " | ".join(shown) + " |")
    return "\n".join(lines) + "\n"
