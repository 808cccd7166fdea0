"""Strict YAML: text -> :class:`Node` with line and column. Knows YAML, not recipes.

PyYAML scans and parses; what its events mean is decided here, because its own constructors read YAML 1.1 (``1e-5`` as
text, ``no`` as false, ``3:20`` as 200) and silently keep the last of two equal keys. Scalars follow the YAML 1.2 core
schema (yaml.org/spec/1.2.2, section 10.3.2). No tags, no merge keys, no ``${...}``; anchors are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import yaml

from polo.errors import InputError, Problem, RecipeError
from polo.recipe.node import Node, Scalar
from polo.recipe.scalars import scalar

#: bounds against files that are no recipes; a long recipe has 200 lines and depth 8
MAX_BYTES: Final = 256 * 1024
MAX_DEPTH: Final = 40
MAX_NODES: Final = 20_000
_INTERPOLATION = re.compile(r"\$\{[^}]*\}")


def read_file(path: Path) -> tuple[Node, str]:
    """Reads a recipe file.

    Returns:
        its mapping, and the text as given.

    Raises:
        InputError: missing, a folder, unreadable, too large, not UTF-8.
        RecipeError: not the YAML that recipes are written in; all that can be told at once.
    """
    where = str(path)
    try:
        with path.open("rb") as file:
            raw = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise InputError(
            "no such recipe file", where=where, fix="give a path, or a name from: polo ls recipes"
        ) from None
    except IsADirectoryError:
        raise InputError("is a folder, not a recipe file", where=where, fix="give the path of a YAML file") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"cannot be read: {reason}", where=repr(where)[1:-1]) from None
    if len(raw) > MAX_BYTES:
        raise InputError(f"longer than {MAX_BYTES // 1024} KiB, so not a recipe", where=where)
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        column = error.start - (raw.rfind(b"\n", 0, error.start) + 1) + 1
        raise RecipeError(
            [Problem(f"{where}:{line}:{column}", f"not UTF-8 (byte 0x{raw[error.start]:02x})", "save it as UTF-8")]
        ) from None
    node = parse(text, where, path.parent)
    if node.value is None:
        raise RecipeError([Problem(f"{where}:1:1", "the recipe is empty", "begin with one of: polo ls recipes")])
    if not isinstance(node.value, dict):
        raise RecipeError([Problem(node.where, "a recipe is a mapping of 'key: value' lines")])
    return node, text


def parse(text: str, file: str, folder: Path | None = None, *, fixed: str = "") -> Node:
    """Reads one YAML document.

    Args:
        text: the document.
        file: its name for positions.
        folder: kept in every node.
        fixed: one place for everything (overrides), instead of ``file:line:column``.

    Raises:
        RecipeError: the text is not YAML of the kind described above.

    Example:
        >>> parse("{lr: 1e-5, on: no}", "r.yaml").plain()
        {'lr': 1e-05, 'on': 'no'}
        >>> parse("a: 1\\na: 2", "r.yaml")
        Traceback (most recent call last):
        polo.errors.RecipeError: r.yaml:2:1: key 'a' is written twice, first at r.yaml:1:1
          -> keep one of them
    """
    builder = _Builder(file, folder, fixed)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise builder.stop("not UTF-8", *_line_column(text, error.start)) from None
    for event in _events(text, builder):
        builder.take(event)
    if builder.problems:
        raise RecipeError(builder.problems)
    return builder.root or Node(None, builder.place(0, 0), folder)


def _line_column(text: str, index: int) -> tuple[int, int]:
    return text.count("\n", 0, index), index - (text.rfind("\n", 0, index) + 1)


def _events(text: str, builder: _Builder) -> Iterator[yaml.Event]:
    """PyYAML's events; whatever it raises becomes a :class:`RecipeError`."""
    events: Iterator[yaml.Event] | None = None
    while True:
        try:
            if events is None:
                events = iter(yaml.parse(text, Loader=yaml.SafeLoader))
            event = next(events)
        except StopIteration:
            return
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            said = " ".join(str(text) for text in (error.context, error.problem) if text)
            raise builder.stop(f"not YAML: {said}", *((mark.line, mark.column) if mark else (0, 0))) from None
        except yaml.reader.ReaderError as error:
            place = _line_column(text, error.position)
            raise builder.stop(f"not YAML: character U+{_code(error):04X} is not allowed", *place) from None
        except Exception as error:  # PyYAML lets some of Python's own through, such as ValueError for "\\U7fffffff"
            raise builder.stop(f"not YAML: {type(error).__name__}: {error}", *builder.last) from None
        yield event


def _code(error: yaml.reader.ReaderError) -> int:
    character: Any = error.character
    return character if isinstance(character, int) else ord(character)


@dataclass
class _Open:
    """A list or mapping that is being read."""

    mapping: bool
    where: str
    anchor: str | None
    items: list[Node] = field(default_factory=list)
    entries: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    #: the key that waits for its value; ``""`` as a name is legal, so ``None`` means that a key comes next
    key: str | None = None
    nodes: int = 1
    depth: int = 1


class _Builder:
    """Events -> nodes, without recursion."""

    def __init__(self, file: str, folder: Path | None, fixed: str) -> None:
        self.file, self.folder, self.fixed = file, folder, fixed
        self.problems: list[Problem] = []
        self.root: Node | None = None
        self.last = (0, 0)
        self._open: list[_Open] = []
        #: anchor -> (node, how many nodes it expands to, its depth)
        self._anchors: dict[str, tuple[Node, int, int]] = {}
        self._documents = 0
        self._total = 0

    def place(self, line: int, column: int) -> str:
        return self.fixed or f"{self.file}:{line + 1}:{column + 1}"

    def stop(self, what: str, line: int, column: int, fix: str = "") -> RecipeError:
        """The error that ends reading: this problem and those before it."""
        return RecipeError([*self.problems, Problem(self.place(line, column), what, fix)])

    def complain(self, where: str, what: str, fix: str = "") -> None:
        self.problems.append(Problem(where, what, fix))

    def take(self, event: yaml.Event) -> None:
        mark = event.start_mark
        self.last = (mark.line, mark.column) if mark else self.last
        where = self.place(*self.last)
        tag = getattr(event, "tag", None)
        if tag is not None:
            self.complain(where, f"tags such as '{tag}' are not allowed", "remove it; the type follows from the value")
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    raise self.stop("a second document begins here", *self.last, "a recipe is one document")
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                if len(self._open) >= MAX_DEPTH:
                    raise self.stop(f"nested deeper than {MAX_DEPTH} levels", *self.last)
                self._open.append(_Open(isinstance(event, yaml.MappingStartEvent), where, event.anchor))
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._close()
            case yaml.ScalarEvent():
                node = Node(self._scalar(event, where), where, self.folder)
                self._remember(event.anchor, node, 1, 1, where)
                self._add(node, 1, 1)
            case yaml.AliasEvent():
                self._alias(str(event.anchor), where)

    def _scalar(self, event: yaml.ScalarEvent, where: str) -> Scalar:
        text: str = event.value
        if match := _INTERPOLATION.search(text):
            self.complain(
                where, f"{match[0]!r} is not filled in", "write the value itself; recipes have no interpolation"
            )
        try:
            text.encode()
            return scalar(text) if event.implicit[0] else text
        except UnicodeEncodeError:
            self.complain(where, "an escape that is no character (a lone surrogate)")
        except ValueError as error:
            self.complain(where, str(error))
        return None

    def _alias(self, name: str, where: str) -> None:
        if name not in self._anchors:
            inside = any(frame.anchor == name for frame in self._open)
            what = f"'*{name}' stands inside what it repeats" if inside else f"'*{name}' repeats nothing"
            self.complain(where, what, "" if inside else f"mark a value above with '&{name}'")
            self._add(Node(None, where, self.folder), 1, 1)
            return
        node, nodes, depth = self._anchors[name]
        self._add(node, nodes, depth)

    def _remember(self, anchor: str | None, node: Node, nodes: int, depth: int, where: str) -> None:
        if anchor is None:
            return
        if anchor in self._anchors:
            self.complain(where, f"'&{anchor}' is used twice", "give the second one another name")
        self._anchors[anchor] = (node, nodes, depth)

    def _close(self) -> None:
        frame = self._open.pop()
        value = frame.entries if frame.mapping else tuple(frame.items)
        node = Node(value, frame.where, self.folder, frame.keys)
        self._remember(frame.anchor, node, frame.nodes, frame.depth, frame.where)
        self._add(node, frame.nodes, frame.depth)

    def _add(self, node: Node, nodes: int, depth: int) -> None:
        """Puts a finished node where it belongs; ``nodes`` counts what aliases stand for."""
        if not self._open:
            self.root = node
            return
        frame = self._open[-1]
        frame.nodes += nodes
        frame.depth = max(frame.depth, depth + 1)
        if frame.nodes > MAX_NODES:
            raise self.stop(f"more than {MAX_NODES} values (anchors counted as often as they are used)", *self.last)
        if len(self._open) + depth > MAX_DEPTH:
            raise self.stop(f"nested deeper than {MAX_DEPTH} levels (through an anchor)", *self.last)
        if not frame.mapping:
            frame.items.append(node)
        elif frame.key is None:
            frame.key = self._key(node, frame)
        else:
            key, frame.key = frame.key, None
            if key not in frame.entries:
                frame.entries[key] = node

    def _key(self, node: Node, frame: _Open) -> str:
        where = self.place(*self.last)
        if not isinstance(node.value, str):
            self.complain(node.where, "a key must be text", "put it in quotes")
            return f"\0{len(frame.entries)}"
        if node.value == "<<":
            self.complain(where, "merge keys ('<<') are not part of YAML 1.2", "use 'extends: other.yaml'")
        elif node.value in frame.keys:
            what = f"key {node.value!r} is written twice"
            self.complain(
                where, what if self.fixed else f"{what}, first at {frame.keys[node.value]}", "keep one of them"
            )
        else:
            frame.keys[node.value] = where
        return node.value
