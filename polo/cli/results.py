"""The table at the end of a run, on stdout."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polo.cli.output import print_heading, print_table, print_text
from polo.report.closing import Closing, closing


def print_results(results: Mapping[str, Any]) -> None:
    """The table of what ``results.json`` holds."""
    print_closing(closing(results))


def print_closing(table: Closing) -> None:
    """A heading, the table, and how to read it."""
    print_heading(f"\n{table.heading}")
    print_table(table.columns, table.rows)
    print_text(f"{table.foot}\n", "dim")
