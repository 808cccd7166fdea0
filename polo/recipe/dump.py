"""Plain data -> YAML that our own reader reads back to the same data."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from polo.recipe.scalars import scalar

Path = tuple[str | int, ...]
_UNQUOTED = re.compile(r"[A-Za-z_./][A-Za-z0-9_./+-]*")
_ESCAPES = {'"': '\\"', "\\": "\\\\", "\n": "\\n", "\t": "\\t", "\r": "\\r"}


def dump(tree: Mapping[str, Any], note: Callable[[Path], str] = lambda path: "") -> str:
    """Block YAML, keys in the order given.

    Args:
        tree: mappings, lists and scalars.
        note: a comment for the line of a path (without ``#``); empty for none.

    Example:
        >>> print(dump({"a": {"lr": 1e-5, "k": [1, 5]}, "b": [{"use": "no"}, {"use": "1e-5"}]}), end="")
        a:
          lr: 1e-05
          k: [1, 5]
        b:
          - use: no
          - use: "1e-5"
    """
    lines: list[tuple[str, str]] = []
    _mapping(tree, (), "", lines, note)
    width = max((len(text) for text, comment in lines if comment and len(text) <= 60), default=0)
    return "".join(f"{text:<{width}}  # {comment}\n" if comment else f"{text}\n" for text, comment in lines) or "{}\n"


def _mapping(
    tree: Mapping[str, Any], path: Path, indent: str, lines: list[tuple[str, str]], note: Callable[[Path], str]
) -> None:
    for key, value in tree.items():
        _entry(f"{indent}{quote(key)}:", value, (*path, key), indent + "  ", lines, note)


def _entry(
    head: str, value: Any, path: Path, indent: str, lines: list[tuple[str, str]], note: Callable[[Path], str]
) -> None:
    if isinstance(value, Mapping) and value:
        lines.append((head, note(path)))
        _mapping(value, path, indent, lines, note)
    elif _is_list(value) and any(isinstance(item, Mapping) or _is_list(item) for item in value):
        lines.append((head, note(path)))
        for index, item in enumerate(value):
            _item(item, (*path, index), indent, lines, note)
    else:
        lines.append((f"{head} {flow(value)}", note(path)))


def _item(value: Any, path: Path, indent: str, lines: list[tuple[str, str]], note: Callable[[Path], str]) -> None:
    if not (isinstance(value, Mapping) and value):
        lines.append((f"{indent}- {flow(value)}", note(path)))
        return
    first = len(lines)
    _mapping(value, path, indent + "  ", lines, note)
    text, comment = lines[first]
    lines[first] = (f"{indent}- {text[len(indent) + 2 :]}", comment)


def flow(value: Any) -> str:
    """One value on one line.

    Example:
        >>> flow({"use": "hit_ratio", "k": [1, 5]})
        '{use: hit_ratio, k: [1, 5]}'
    """
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quote(key)}: {flow(item)}" for key, item in value.items()) + "}"
    if _is_list(value):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, float) and math.isinf(value):
        return ".inf" if value > 0 else "-.inf"
    return repr(value) if isinstance(value, int | float) else quote(value)


def quote(text: str) -> str:
    """A string as YAML: without quotes where that reads back as the same string, else in double quotes.

    Example:
        >>> quote("no"), quote("true"), quote("a b")
        ('no', '"true"', '"a b"')
    """
    if _UNQUOTED.fullmatch(text) and isinstance(_scalar(text), str):
        return text
    return '"' + "".join(_ESCAPES.get(one) or (one if one.isprintable() else _escape(one)) for one in text) + '"'


def _scalar(text: str) -> Any:
    try:
        return scalar(text)
    except ValueError:
        return None


def _escape(one: str) -> str:
    code = ord(one)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_list(value: Any) -> bool:
    return isinstance(value, Sequence) and not isinstance(value, str | bytes)
