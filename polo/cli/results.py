"""The table at the end of a run, on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polo.cli.output import print_heading, print_table, print_text
from polo.report.closing import closing


def print_results(results: Mapping[str, Any]) -> None:
    """Prints :class:`polo.report.closing.Closing`."""
    table = closing(results)
    print_heading(f"\n{table.heading}")
    print_table(table.columns, table.rows)
    print_text(f"{table.foot}\n", "dim")
