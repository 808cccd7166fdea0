"""How commands print: tables that a terminal shows nicely and a pipe gets as text, and errors. Knows no recipes."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from polo.errors import PoloError, Problem, RecipeError


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout; without a terminal columns of text that are never cut or wrapped."""
    if not rows:
        return
    console = Console()
    if console.is_terminal:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
        for index, column in enumerate(columns):
            table.add_column(column, overflow="fold", style="cyan" if index == 0 else "", no_wrap=index == 0)
        for row in rows:
            table.add_row(*(Text(cell) for cell in row))
        console.print(table)
        return
    widths = [max(len(cell) for cell in column) for column in zip(columns, *rows, strict=True)]
    for row in (columns, *rows):
        print("  ".join(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=True)).rstrip())


def print_heading(text: str) -> None:
    """A line that stands out in a terminal."""
    Console(highlight=False, soft_wrap=True).print(Text(text, style="bold"))


def print_text(text: str, style: str = "") -> None:
    """Lines on stdout, never wrapped by us."""
    Console(highlight=False, soft_wrap=True).print(Text(text, style=style))


def print_commented(text: str) -> None:
    """YAML on stdout, comments dimmed in a terminal."""
    console = Console(highlight=False, soft_wrap=True)
    for line in text.splitlines():
        code, hash_, comment = line.partition("  # ")
        console.print(Text(code) + Text(hash_ + comment, style="dim"))


def print_error(error: PoloError) -> None:
    """An error on stderr."""
    problems = error.problems if isinstance(error, RecipeError) else [Problem(error.where, error.what, error.fix)]
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    for problem in problems:
        place = Text(f"{problem.where}: ", style="bold") if problem.where else Text("")
        console.print(Text("error: ", style="bold red") + place + Text(problem.what))
        if problem.fix:
            console.print(Text(f"  -> {problem.fix}", style="green"))
    if len(problems) > 1:
        console.print(Text(f"{len(problems)} errors", style="bold"))


def note(text: str, style: str = "yellow") -> None:
    """A remark on stderr."""
    Console(stderr=True, highlight=False, soft_wrap=True).print(Text(text, style=style))


def flush() -> None:
    """Writes out what is buffered, so that stdout and stderr appear in order."""
    sys.stdout.flush()
    sys.stderr.flush()
