"""What an options dataclass says about its fields: types in words, defaults, and the ``#:`` comments above them.

Knows dataclasses and annotated-types; used by error messages, ``polo describe`` and the JSON Schema.
"""

from __future__ import annotations

import ast
import dataclasses
import inspect
import textwrap
import types
import typing
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal

import annotated_types as at

from polo.context import Choice
from polo.plugin.component import RefKind

MISSING: Any = dataclasses.MISSING
_LISTS = (tuple, list, Sequence, set, frozenset)
_NOUNS: Mapping[Any, str] = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "text",
    Path: "a path",
    type(None): "null",
    Any: "any value",
}


@dataclass(frozen=True)
class Field:
    """One option: its key in a recipe, attribute, type, default (``MISSING`` if required) and meaning."""

    key: str
    attribute: str
    hint: Any
    default: Any
    meaning: str = ""

    @property
    def required(self) -> bool:
        return self.default is MISSING


def fields_of(options: type[Any], *, meanings: bool = False) -> list[Field]:
    """The options of a dataclass.

    Args:
        options: a dataclass.
        meanings: read the ``#:`` comments too (needs the source file).

    Raises:
        TypeError, NameError: an annotation cannot be resolved.
    """
    hints = typing.get_type_hints(options, include_extras=True)
    said = comments_of(options) if meanings else {}
    found = []
    for field in dataclasses.fields(options):
        if not field.init:
            continue
        default = field.default
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        found.append(Field(key_of(field.name), field.name, hints[field.name], default, said.get(field.name, "")))
    return found


def key_of(attribute: str) -> str:
    """The name of a field in a recipe: a trailing underscore is dropped (``from_`` is written ``from``)."""
    return attribute.removesuffix("_")


def comments_of(options: type[Any]) -> dict[str, str]:
    """The ``#:`` lines above each field, joined to one line; of base classes too."""
    said: dict[str, str] = {}
    for owner in reversed(options.__mro__):
        if not dataclasses.is_dataclass(owner):
            continue
        try:
            source = textwrap.dedent(inspect.getsource(owner))
        except (OSError, TypeError):
            continue
        lines = source.splitlines()
        body = typing.cast("ast.ClassDef", ast.parse(source).body[0]).body
        for statement in body:
            if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                above = []
                line = statement.lineno - 2
                while line >= 0 and lines[line].strip().startswith("#:"):
                    above.append(lines[line].strip().removeprefix("#:").strip())
                    line -= 1
                if above:
                    said[statement.target.id] = " ".join(reversed(above))
    return said


def peel(hint: Any) -> tuple[Any, tuple[Any, ...]]:
    """A type without ``Annotated``, and its constraints."""
    if typing.get_origin(hint) is Annotated:
        inner, *marks = typing.get_args(hint)
        return inner, tuple(marks)
    return hint, ()


def ref_kind(hint: Any) -> str | None:
    """The kind of component if the type is ``Ref[kind]``."""
    inner, marks = peel(hint)
    return next((mark.kind for mark in marks if isinstance(mark, RefKind)), None) if inner is Choice else None


def union_of(hint: Any) -> tuple[Any, ...]:
    """The alternatives of a type; itself if it is no union."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def list_of(hint: Any) -> Any:
    """The origin if the type is a list of some form (``tuple``, ``list``, ``Sequence``, sets), else ``None``."""
    origin = typing.get_origin(hint) or hint
    return origin if origin in _LISTS else None


def mapping_of(hint: Any) -> bool:
    """Whether the type is a mapping."""
    origin = typing.get_origin(hint) or hint
    return isinstance(origin, type) and issubclass(origin, Mapping)


def inside(hint: Any) -> tuple[str, type[Any]] | None:
    """The dataclass whose fields a value holds, and what stands between: ``[]`` in a list, ``.NAME`` in a mapping.

    Example:
        >>> @dataclass
        ... class Term:
        ...     weight: float
        >>> inside(tuple[Term, ...] | None), inside(Mapping[str, Term])
        (('[]', <class 'polo.recipe.fields.Term'>), ('.NAME', <class 'polo.recipe.fields.Term'>))
    """
    for member in union_of(peel(hint)[0]):
        inner = peel(member)[0]
        if inner is Choice:  # a component's options are its own
            continue
        if dataclasses.is_dataclass(inner) and isinstance(inner, type):
            return "", inner
        held = typing.get_args(inner)
        step = "[]" if list_of(inner) else ".NAME" if mapping_of(inner) else ""
        found = next(filter(None, map(inside, held)), None) if step else None
        if found:
            return step + found[0], found[1]
    return None


def phrase(hint: Any) -> str:
    """A type in words.

    Example:
        >>> phrase(Annotated[float, at.Gt(0)] | None)
        'a number > 0, or null'
        >>> phrase(tuple[Annotated[int, at.Ge(1)], ...])
        'a list (each: a whole number >= 1)'
        >>> phrase(Literal["last", "best_valid"])
        "'last' or 'best_valid'"
    """
    if kind := ref_kind(hint):
        return f"{_article(kind)} {kind} (a name, or a mapping with 'use')"
    inner, marks = peel(hint)
    bounds = " and ".join(filter(None, (_bound(mark) for mark in marks)))
    noun = _noun(inner)
    return f"{noun} {bounds}" if bounds else noun


def _noun(hint: Any) -> str:
    members = union_of(hint)
    if len(members) > 1:
        words = [phrase(member) for member in members]
        return ", or ".join(words)
    if hint in _NOUNS:
        return _NOUNS[hint]
    if typing.get_origin(hint) is Literal:
        words = [repr(value) for value in typing.get_args(hint)]
        return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} or {words[-1]}"
    if list_of(hint):
        items = [phrase(item) for item in typing.get_args(hint) if item is not Ellipsis]
        if typing.get_origin(hint) is tuple and Ellipsis not in typing.get_args(hint):
            return f"a list of {len(items)} ({'; '.join(items)})"
        return f"a list (each: {items[0]})" if items else "a list"
    if mapping_of(hint) or dataclasses.is_dataclass(hint):
        return "a mapping"
    if isinstance(hint, type) and issubclass(hint, Enum):
        return ", ".join(repr(member.value) for member in hint)
    return getattr(hint, "__name__", str(hint))


def _bound(mark: Any) -> str:
    match mark:
        case at.Gt(gt):
            return f"> {gt}"
        case at.Ge(ge):
            return f">= {ge}"
        case at.Lt(lt):
            return f"< {lt}"
        case at.Le(le):
            return f"<= {le}"
        case at.Interval():
            return " and ".join(_bound(inner) for inner in mark)
        case at.MultipleOf(step):
            return f"that is a multiple of {step}"
        case at.Len(least, most):
            bounds = [f"at least {least}"] * bool(least) + [f"at most {most}"] * (most is not None)
            return f"with {' and '.join(bounds)}" if bounds else ""
        case at.MinLen(least):
            return f"with at least {least}"
        case at.MaxLen(most):
            return f"with at most {most}"
        case _:
            return ""


def _article(word: str) -> str:
    return "an" if word[0] in "aeiou" else "a"
