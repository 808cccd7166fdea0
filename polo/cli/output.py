"""How commands print: tables that a terminal shows nicely and a pipe gets as text, and errors. Knows no recipes."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.text import Text

from polo.cli.layout import laid
from polo.errors import PoloError, Problem, RecipeError


def print_json(value: Any) -> None:
    """One JSON value on stdout."""
    print(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A table on stdout, folded within the terminal's width; see :func:`_width` for what is no terminal."""
    if not rows:
        return
    console = Console(highlight=False, soft_wrap=True)
    table = laid(columns, rows, _width(console))
    if not console.is_terminal:
        print("\n".join(table.lines()))
        return
    for line in table.head:
        console.print(Text(line, style="bold"))
    if table.head:
        console.print(Text("\u2500" * table.width))
    for row in table.rows:
        for first, rest in row:
            console.print(Text(first, style="cyan") + Text(rest))
        if table.listed:
            console.print()


def print_list(rows: Sequence[tuple[str, str]]) -> None:
    """Names, and behind each what it stands for."""
    print_table((), rows)


def _width(console: Console) -> int | None:
    """What a table may take: the terminal's width, or what the variable ``COLUMNS`` says; a pipe gets whole lines."""
    if console.is_terminal:
        return console.width
    given = os.environ.get("COLUMNS", "")
    return int(given) if given.isascii() and given.isdigit() and int(given) else None


def print_heading(text: str) -> None:
    """A line that stands out in a terminal."""
    Console(highlight=False, soft_wrap=True).print(Text(text, style="bold"))


def print_text(text: str, style: str = "") -> None:
    """Lines on stdout, never wrapped by us."""
    Console(highlight=False, soft_wrap=True).print(Text(text, style=style))


def print_commented(text: str) -> None:
    """YAML on stdout; in a terminal comments are dimmed, and what does not fit is cut off at their beginning.

    Their end says more: a comment is a place, ``file:line:column``.
    """
    console = Console(highlight=False, soft_wrap=True)
    for line in text.splitlines():
        code, hash_, comment = line.partition("  # ")
        room = console.width - len(code + hash_)
        if console.is_terminal and len(comment) > room > len("\u2026"):
            comment = "\u2026" + comment[1 - room :]
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
