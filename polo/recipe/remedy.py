"""What to write instead of a value that an option does not take, where that can be guessed. Knows types and nodes."""

from __future__ import annotations

import typing
from collections.abc import Mapping
from typing import Any, Literal

from polo.recipe.fields import list_of, peel, union_of
from polo.recipe.node import Node
from polo.words import did_you_mean


def remedy(hint: Any, node: Node) -> str:
    """What to write instead, where that can be guessed."""
    members = [peel(member)[0] for member in union_of(peel(hint)[0])]
    value = node.value
    choices = [item for member in members if typing.get_origin(member) is Literal for item in typing.get_args(member)]
    texts = [item for item in choices if isinstance(item, str)]
    if isinstance(value, str):
        if bool in members and value.lower() in ("yes", "no", "on", "off"):
            return f"write {'true' if value.lower() in ('yes', 'on') else 'false'}"
        if (int in members or float in members) and _number(value):
            return f"write {value.strip()} without quotes"
        best = did_you_mean(value, texts) if texts else ""
        return best if best.startswith("did") else ""
    if isinstance(value, bool | int | float):
        if bool in members and value in (0, 1):
            return f"write {'true' if value else 'false'}"
        if int in members and isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
            return f"write {int(value)}"
        if str in members:
            return "put it in quotes"
    if any(list_of(member) for member in members) and not isinstance(value, Mapping | tuple) and value is not None:
        return "write it as a list: [...]"
    return ""


def _number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
