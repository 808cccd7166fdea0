"""JSON Schema (draft 7, which editors understand) of a recipe with all components that are installed.

Says what the loader checks, as far as a schema can; the loader remains the judge.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from polo.errors import PoloError
from polo.plugin.catalogue import Catalogue, Entry
from polo.plugin.component import KINDS
from polo.recipe.fields import Field, fields_of, list_of, mapping_of, peel, ref_kind, union_of
from polo.recipe.model import Recipe
from polo.recipe.plain import to_plain


def recipe_schema(catalogue: Catalogue) -> dict[str, Any]:
    """The schema, as plain data."""
    made = _Schema(catalogue)
    whole = made.dataclass(Recipe)
    required = whole.pop("required")
    extends = {"type": "string", "description": "recipe below this one, relative to this file"}
    profile = {"type": "object", "additionalProperties": {"type": "object"}}
    properties = {**whole.pop("properties"), "extends": extends, "profiles": profile}
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "polo recipe",
        **whole,
        "properties": properties,
        "if": {"not": {"required": ["extends"]}},
        "then": {"required": required},
        "definitions": {kind: made.kind(kind) for kind in KINDS} | made.definitions,
    }


def component_schema(catalogue: Catalogue, entry: Entry) -> dict[str, Any]:
    """The schema of one component's options, as plain data.

    Raises:
        PoloError, TypeError, NameError: they cannot be read.
    """
    options = entry.load_options()
    return _Schema(catalogue).dataclass(options) if options else {"type": "object", "additionalProperties": False}


class _Schema:
    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue
        self.definitions: dict[str, Any] = {}

    def kind(self, kind: str) -> dict[str, Any]:
        """Any component of a kind: a bare name, or a mapping with ``use``."""
        named = list(zip(self._catalogue.names(kind), self._catalogue.entries(kind), strict=True))
        bare = [name for name, entry in named if not self._needs_options(entry)]
        shorthand = [{"enum": bare}] if bare else []
        return (
            {"anyOf": [*shorthand, *(self._component(name, entry) for name, entry in named)]} if named else {"not": {}}
        )

    def _needs_options(self, entry: Entry) -> bool:
        try:
            options = entry.load_options()
            return options is not None and any(item.required for item in fields_of(options))
        except (PoloError, TypeError, NameError):
            return False

    def _component(self, name: str, entry: Entry) -> dict[str, Any]:
        use = {"const": name, "description": entry.component.summary}
        try:
            options = entry.load_options()
            body: dict[str, Any] = self.dataclass(options) if options else {"properties": {}, "required": []}
        except (PoloError, TypeError, NameError):  # a plugin's fault; the component remains, its options are not known
            return {"type": "object", "properties": {"use": use}, "required": ["use"]}
        return {
            "type": "object",
            "properties": {"use": use, **body["properties"]},
            "required": ["use", *body["required"]],
            "additionalProperties": False,
        }

    def dataclass(self, options: type[Any]) -> dict[str, Any]:
        fields = fields_of(options, meanings=True)
        return {
            "type": "object",
            "properties": {item.key: self._property(item) for item in fields},
            "required": [item.key for item in fields if item.required],
            "additionalProperties": False,
        }

    def _property(self, item: Field) -> dict[str, Any]:
        found = self.of(item.hint)
        if "$ref" in found:  # draft 7 ignores what stands beside $ref
            found = {"allOf": [found]}
        if item.meaning:
            found = {**found, "description": item.meaning}
        return found if item.required else {**found, "default": to_plain(item.default)}

    def of(self, hint: Any) -> dict[str, Any]:
        """The schema of a type."""
        if kind := ref_kind(hint):
            return {"$ref": f"#/definitions/{kind}"}
        inner, marks = peel(hint)
        arguments = typing.get_args(inner)
        if dataclasses.is_dataclass(inner):
            return self.dataclass(typing.cast("type[Any]", inner))
        if len(union_of(inner)) > 1 and not marks:
            return {"anyOf": [self.of(member) for member in union_of(inner)]}
        if list_of(inner):
            return {"type": "array", **self._items(arguments), **_lengths(marks, "Items")}
        if mapping_of(inner):
            each = self.of(arguments[1]) if len(arguments) == 2 else {}
            return {"type": "object", "additionalProperties": each, **_lengths(marks, "Properties")}
        return self._scalar(hint)

    def _items(self, arguments: tuple[Any, ...]) -> dict[str, Any]:
        if not arguments:
            return {}
        if len(arguments) == 1 or arguments[1] is Ellipsis:
            return {"items": self.of(arguments[0])}
        many = len(arguments)
        return {"items": [self.of(each) for each in arguments], "minItems": many, "maxItems": many}

    def _scalar(self, hint: Any) -> dict[str, Any]:
        found: dict[str, Any] = TypeAdapter(hint).json_schema(ref_template="#/definitions/{model}")
        self.definitions |= found.pop("$defs", {})
        found.pop("title", None)
        return found


def _lengths(marks: tuple[Any, ...], what: str) -> Mapping[str, int]:
    """``minItems`` and its like from annotated-types."""
    found = {}
    for mark in marks:
        for attribute, word in (("min_length", "min"), ("max_length", "max")):
            bound = getattr(mark, attribute, None)
            if bound:
                found[f"{word}{what}"] = bound
    return found
