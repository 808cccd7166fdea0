"""What every page of the reference is made with: tables, and that nothing goes without a word of explanation."""

from __future__ import annotations


class UndocumentedError(Exception):
    """Something that users meet has no word of explanation."""


def told(what: str, text: str | None) -> str:
    """``text``, which explains ``what``.

    Raises:
        UndocumentedError: there is none.
    """
    if not (text or "").strip():
        raise UndocumentedError(f"{what} has no explanation: write one where it is declared")
    return str(text).strip()


def table(columns: list[str], rows: list[list[str]]) -> str:
    """A Markdown table of cells that are Markdown already."""
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
