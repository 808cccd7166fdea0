"""Options as the plain data of a file, the way back from validation. Knows no file and no text."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from polo.context import Choice
from polo.recipe.fields import key_of


def to_plain(value: Any) -> Any:
    """Options as plain data: mappings, lists and scalars; components as ``{use: name, ...}``.

    Example:
        >>> to_plain((Choice("loss", "sft"), Path("a/b")))
        [{'use': 'sft'}, 'a/b']
    """
    if isinstance(value, Choice):
        return {"use": value.name, **({} if value.options is None else to_plain(value.options))}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            key_of(item.name): to_plain(getattr(value, item.name)) for item in dataclasses.fields(value) if item.init
        }
    if isinstance(value, Mapping):
        return {str(key): to_plain(item) for key, item in value.items()}
    if isinstance(value, set | frozenset):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, list | tuple):
        return [to_plain(item) for item in value]
    if isinstance(value, Enum):
        return to_plain(value.value)
    return value.as_posix() if isinstance(value, Path) else value
