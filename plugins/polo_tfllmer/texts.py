"""What is said of an item, as text. Knows item tables; knows no words and no model."""

from __future__ import annotations

from collections.abc import Sequence

from polo import InputError, ItemTable


def texts_of(items: ItemTable, columns: Sequence[str]) -> list[str]:
    """The named columns of each item, joined by line breaks; empty ones leave nothing.

    Raises:
        InputError: the item table has no such column.

    Example:
        >>> table = ItemTable(["Alien"], ["7"], {"genres": ["Horror"], "text": [""]})
        >>> texts_of(table, ["title", "genres", "text"])
        ['Alien\\nHorror']
    """
    found: dict[str, Sequence[str]] = {"title": items.titles, **items.facts}
    for name in columns:
        if name not in found:
            raise InputError(
                f"the item table has no column {name!r}; it has {', '.join(found)}",
                where="encoder",
                fix="change `columns`, or the data source",
            )
    return ["\n".join(filter(None, parts)) for parts in zip(*(found[name] for name in columns), strict=True)]
