"""Validation of a recipe (or of one component's options) against dataclasses: all problems at once, each with a place.

Two steps. The walk here follows dataclasses, lists, mappings and ``Ref`` and looks components up, so that a place in
the data is always a place in the file. Scalars are judged by pydantic in JSON strict mode, which takes an integer for a
float and refuses ``"1e-5"`` for a number, ``1`` for a bool and ``1.0`` for an int; its words are not shown to users.
"""

from __future__ import annotations

import dataclasses
import json
import math
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import PydanticUserError, TypeAdapter, ValidationError

from polo.context import Choice
from polo.errors import InputError, PoloError, Problem
from polo.plugin.catalogue import Catalogue
from polo.plugin.component import Program, RefKind
from polo.recipe.fields import Field, fields_of, key_of, list_of, mapping_of, peel, phrase, ref_kind, union_of
from polo.recipe.node import Node, found
from polo.recipe.remedy import remedy
from polo.words import did_you_mean

Place = tuple[str | int, ...]


class _Invalid:
    """Stands for a value that has a problem, which is already noted."""


INVALID: Any = _Invalid()


@dataclass
class Validation:
    """One walk over one recipe.

    Args:
        catalogue: the components that ``use`` may name.
        problems: what is wrong, filled by the walk.
        origins: place in the tree -> where its value was written, filled by the walk.
        programs: options that name a program to start, with their values, filled by the walk.
    """

    catalogue: Catalogue
    problems: list[Problem] = field(default_factory=list)
    origins: dict[Place, str] = field(default_factory=dict)
    programs: list[tuple[str, Node]] = field(default_factory=list)

    def complain(self, where: str, what: str, fix: str = "") -> Any:
        problem = Problem(where, what, fix)
        if problem not in self.problems:  # an anchor used twice shows its problem once
            self.problems.append(problem)
        return INVALID

    def value(self, hint: Any, node: Node, place: Place) -> Any:
        """The value of a node as the type ``hint`` wants it, or ``INVALID``."""
        inner, marks = peel(hint)
        if kind := ref_kind(hint):
            return self._choice(kind, node, place)
        if dataclasses.is_dataclass(inner):
            if not isinstance(node.value, Mapping):
                return self._wrong(hint, node, place)
            return self.dataclass(typing.cast("type[Any]", inner), node, place)
        if len(union_of(inner)) > 1 and not _is_scalar(inner):
            return self._union(hint, union_of(inner), node, place)
        if list_of(inner):
            return self._bounded(hint, marks, self._list(hint, inner, node, place), node, place)
        if mapping_of(inner):
            return self._bounded(hint, marks, self._mapping(hint, inner, node, place), node, place)
        return self._scalar(hint, node, place)

    def dataclass(self, options: type[Any], node: Node, place: Place, *, skip: tuple[str, ...] = ()) -> Any:
        """An instance of ``options`` from a mapping, or ``INVALID``."""
        assert isinstance(node.value, Mapping)
        known = {item.key: item for item in self._fields(options)}
        for key in node.value:
            if key not in known and key not in skip:
                shown = ".".join(str(step) for step in (*place, key))
                fix = did_you_mean(key, known, label="known here") or "there are no options here"
                self.complain(node.keys.get(key, node.where), f"unknown key {shown!r}", fix)
        values = {item.attribute: self._field(item, node, place) for item in known.values()}
        if any(value is INVALID for value in values.values()):
            return INVALID
        return self._made(options, values, node, place)

    def _made(self, options: type[Any], values: Mapping[str, Any], node: Node, place: Place) -> Any:
        try:
            return options(**values)
        except PoloError as error:  # raised by the class's own __post_init__
            return self.complain(node.where, f"{_dotted(place)}{error.what}", error.fix)
        except (ValueError, TypeError) as error:
            return self.complain(node.where, f"{_dotted(place)}{error}")

    def _fields(self, options: type[Any]) -> list[Field]:
        try:
            return fields_of(options)
        except (TypeError, NameError) as error:
            raise InputError(f"the types of {options.__module__}.{options.__name__} cannot be read: {error}") from error

    def _field(self, item: Field, node: Node, place: Place) -> Any:
        below = (*place, item.key)
        child = node.child(item.key)
        if child is not None:
            return self.value(item.hint, child, below)
        if not item.required:
            return self._default(item.default, node, below)
        kind = ref_kind(item.hint)
        example = f"for example one of: {', '.join(self.catalogue.names(kind)[:8])}" if kind else ""
        return self.complain(node.where, f"{_dotted(place)}missing {item.key!r} ({phrase(item.hint)})", example)

    def _default(self, value: Any, node: Node, place: Place) -> Any:
        """A default; components in it get the defaults of their own options."""
        if isinstance(value, Choice) and value.options is None:
            return self._choice(value.kind, Node(value.name, node.where, node.folder), place, default=True)
        if isinstance(value, tuple) and any(isinstance(item, Choice) for item in value):
            items = tuple(self._default(item, node, (*place, index)) for index, item in enumerate(value))
            return INVALID if any(item is INVALID for item in items) else items
        if dataclasses.is_dataclass(value) and not isinstance(value, type | Choice):
            inner = {
                item.name: self._default(getattr(value, item.name), node, (*place, key_of(item.name)))
                for item in dataclasses.fields(value)
                if item.init
            }
            return INVALID if any(item is INVALID for item in inner.values()) else dataclasses.replace(value, **inner)
        return value

    def _choice(self, kind: str, node: Node, place: Place, *, default: bool = False) -> Any:
        named = node.child("use")
        if named is None and isinstance(node.value, Mapping):
            fix = f"write use: and one of {', '.join(self.catalogue.names(kind)[:12])}"
            return self.complain(node.where, f"{_dotted(place)}which {kind}? 'use' is missing", fix)
        named = named or node
        if not isinstance(named.value, str):
            return self._wrong(Annotated[Choice, RefKind(kind)] if named is node else str, named, place)
        try:
            entry = self.catalogue.find(kind, named.value)
            options = entry.load_options()
        except PoloError as error:
            return self.complain(named.where, f"{_dotted(place)}{error.what}", error.fix)
        if not default:
            self.origins[(*place, "use")] = named.where
        body = node if isinstance(node.value, Mapping) else Node({}, node.where, node.folder)
        if options is None:
            for key in body.value if isinstance(body.value, Mapping) else ():
                if key != "use":
                    what = f"unknown key {'.'.join(str(step) for step in (*place, key))!r}"
                    self.complain(body.keys.get(key, body.where), what, f"{kind} {entry.name!r} has no options")
            return Choice(kind, named.value, None, entry.qualified)
        made = self.dataclass(options, body, place, skip=("use",))
        return INVALID if made is INVALID else Choice(kind, named.value, made, entry.qualified)

    def _union(self, hint: Any, members: tuple[Any, ...], node: Node, place: Place) -> Any:
        """The first alternative without a problem; else what is wrong with the one of this shape."""
        shaped = [member for member in members if _fits(member, node)]
        # a text that may be either text or a component's name is text: components can be spelled out
        shaped.sort(key=lambda member: not _is_scalar(member))
        trials = []
        for member in shaped:
            trial = Validation(self.catalogue)
            value = trial.value(member, node, place)
            if not trial.problems:
                self.origins |= trial.origins
                self.programs += trial.programs
                return value
            trials.append((member, trial))
        deep = [trial for member, trial in trials if not _is_scalar(member)]
        if not deep:
            return self._wrong(hint, node, place)
        self.origins |= deep[0].origins
        for problem in deep[0].problems:
            self.complain(problem.where, problem.what, problem.fix)
        return INVALID

    def _list(self, hint: Any, inner: Any, node: Node, place: Place) -> Any:
        if not isinstance(node.value, tuple):
            return self._wrong(hint, node, place)
        self.origins[place] = node.where
        arguments = typing.get_args(inner)
        fixed = list_of(inner) is tuple and arguments and Ellipsis not in arguments
        if fixed and len(arguments) != len(node.value):
            return self._wrong(hint, node, place)
        hints = arguments if fixed else (arguments[0] if arguments else Any,) * len(node.value)
        pairs = enumerate(zip(hints, node.value, strict=True))
        items = [self.value(each, item, (*place, index)) for index, (each, item) in pairs]
        if any(item is INVALID for item in items):
            return INVALID
        make = list_of(inner)
        return make(items) if make in (list, set, frozenset) else tuple(items)

    def _mapping(self, hint: Any, inner: Any, node: Node, place: Place) -> Any:
        if not isinstance(node.value, Mapping):
            return self._wrong(hint, node, place)
        self.origins[place] = node.where
        arguments = typing.get_args(inner)
        each = arguments[1] if len(arguments) == 2 else Any
        values = {}
        for key, item in node.value.items():
            if item.implied and not mapping_of(peel(each)[0]) and each is not Any:
                names = [name for name, other in node.value.items() if not other.implied]
                what = f"there is no {'.'.join(str(step) for step in (*place, key))!r}"
                values[key] = self.complain(item.where, what, did_you_mean(key, names))
            else:
                values[key] = self.value(each, item, (*place, key))
        return INVALID if any(value is INVALID for value in values.values()) else values

    def _bounded(self, hint: Any, marks: tuple[Any, ...], value: Any, node: Node, place: Place) -> Any:
        """Checks the constraints of a list or mapping, such as its length."""
        if value is INVALID or not marks:
            return value
        try:
            _adapter(Annotated[(Any, *marks)]).validate_python(value)
        except ValidationError:
            return self._wrong(hint, node, place)
        return value

    def _scalar(self, hint: Any, node: Node, place: Place) -> Any:
        self.origins[place] = node.where
        if node.value is not None and any(
            isinstance(mark, Program) for one in _alternatives(hint) for mark in peel(one)[1]
        ):
            self.programs.append((".".join(map(str, place)), node))
        if isinstance(node.value, float) and math.isinf(node.value):
            return self.complain(node.where, f"{_dotted(place)}found {found(node)}, expected {phrase(hint)}",
                                 "write a finite number: no option means infinity")  # fmt: skip
        try:
            return _adapter(hint).validate_json(json.dumps(node.plain()), strict=True)
        except ValidationError:
            return self._wrong(hint, node, place)

    def _wrong(self, hint: Any, node: Node, place: Place) -> Any:
        what = f"{_dotted(place)}found {found(node)}, expected {phrase(hint)}"
        return self.complain(node.where, what, remedy(hint, node))


def _adapter(hint: Any) -> TypeAdapter[Any]:
    try:
        return TypeAdapter(hint)
    except PydanticUserError as error:
        raise InputError(f"an option of type {hint!r} cannot be checked", fix="use plain types in options") from error


def _alternatives(hint: Any) -> tuple[Any, ...]:
    """A type and its alternatives."""
    return (hint, *union_of(peel(hint)[0]))


def _is_scalar(hint: Any) -> bool:
    """Whether pydantic alone judges the type."""
    inner, _ = peel(hint)
    members = union_of(inner)
    if len(members) > 1:
        return all(_is_scalar(member) for member in members)
    return not (ref_kind(hint) or dataclasses.is_dataclass(inner) or list_of(inner) or mapping_of(inner))


def _fits(hint: Any, node: Node) -> bool:
    """Whether a node has the outer shape of a type."""
    inner, _ = peel(hint)
    if ref_kind(hint):
        return isinstance(node.value, Mapping | str)
    if dataclasses.is_dataclass(inner) or mapping_of(inner):
        return isinstance(node.value, Mapping)
    if list_of(inner):
        return isinstance(node.value, tuple)
    return len(union_of(inner)) > 1 or inner is Any or not isinstance(node.value, Mapping | tuple)


def _dotted(place: Place) -> str:
    return f"{'.'.join(str(step) for step in place)}: " if place else ""
