"""A value of a recipe together with the place where it was written. Knows no YAML and no types of options."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Scalar = None | bool | int | float | str


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, a list (tuple of nodes) or a mapping, with positions.

    Args:
        value: what was written.
        where: ``file:line:column``, or the name of an override.
        folder: the folder of the file, against which relative paths are read.
        keys: of a mapping, where each key stands.
        implied: a mapping that nobody wrote, only the path of an override leads through it.
    """

    value: Scalar | tuple[Node, ...] | Mapping[str, Node]
    where: str
    folder: Path | None = None
    keys: Mapping[str, str] = field(default_factory=dict)
    implied: bool = False

    def child(self, key: str) -> Node | None:
        """The value of a key, or ``None`` if this is no mapping or has no such key."""
        return self.value.get(key) if isinstance(self.value, Mapping) else None

    def text(self, key: str) -> str | None:
        """The value of a key if it is a text."""
        child = self.child(key)
        return child.value if child is not None and isinstance(child.value, str) else None

    def use(self) -> str | None:
        """The component that this names: a bare string, or ``use`` of a mapping."""
        return self.value if isinstance(self.value, str) else self.text("use")

    def plain(self) -> Any:
        """Without positions."""
        if isinstance(self.value, Mapping):
            return {key: item.plain() for key, item in self.value.items()}
        if isinstance(self.value, tuple):
            return [item.plain() for item in self.value]
        return self.value

    def without(self, *names: str) -> Node:
        """This mapping without some keys."""
        if not isinstance(self.value, Mapping):
            return self
        kept = {key: item for key, item in self.value.items() if key not in names}
        return Node(kept, self.where, self.folder, {key: self.keys[key] for key in kept}, self.implied)


def found(node: Node) -> str:
    """What a node holds, for a message.

    Example:
        >>> found(Node("1e-5", "r.yaml:1:1")), found(Node((), "r.yaml:1:1"))
        ("text '1e-5'", 'an empty list')
    """
    value = node.value
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"number {value!r}" if len(repr(value)) <= 40 else "a very long number"
    if isinstance(value, str):
        shown = value if len(value) <= 60 else value[:57] + "..."
        return f"text {shown!r}"
    if isinstance(value, Mapping):
        names = ", ".join(list(value)[:4]) + (", ..." if len(value) > 4 else "")
        return f"a mapping with {names}" if value else "an empty mapping"
    return f"a list of {len(value)}" if value else "an empty list"
