"""Layers of a recipe: which of two values holds. Knows nodes, not the types of options.

Mappings merge; a layer that changes ``use`` (also by the bare-string shorthand) replaces the whole mapping; lists and
scalars are replaced. An override is a layer too: ``a.b.c=value`` is the layer ``{a: {b: {c: value}}}``, and a number in
its path addresses an entry of a list that is already there.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from polo.errors import Problem, RecipeError
from polo.recipe.node import Node, found
from polo.recipe.reader import parse


def merge(base: Node, over: Node, problems: list[Problem]) -> Node:
    """``over`` on top of ``base``; problems (an index out of range) are appended to ``problems``.

    Example:
        >>> def layer(text):
        ...     return parse(text, "r.yaml")
        >>> merge(layer("{loss: {use: dmpo, k: 3}, lr: 1}"), layer("{loss: sdpo}"), []).plain()
        {'loss': 'sdpo', 'lr': 1}
        >>> merge(layer("{loss: dmpo, lr: 1}"), layer("{loss: {k: 3}}"), []).plain()
        {'loss': {'use': 'dmpo', 'k': 3}, 'lr': 1}
    """
    if isinstance(over.value, Mapping):
        if isinstance(base.value, tuple) and over.implied:
            return _patch(base, over, problems)
        if isinstance(base.value, str) and over.value:
            base = _spelled_out(base)
        if isinstance(base.value, Mapping):
            return over if _another(base, over) else _merge_mappings(base, over, problems)
    elif isinstance(over.value, str) and isinstance(base.value, Mapping):
        if base.use() == over.value:
            return base
        if base.implied and base.child("use") is None:
            return _merge_mappings(base, _spelled_out(over), problems)
    return over


def _another(base: Node, over: Node) -> bool:
    """Whether ``over`` picks another component than ``base``."""
    return base.use() is not None and over.child("use") is not None and base.use() != over.use()


def _spelled_out(node: Node) -> Node:
    """``name`` as ``{use: name}``."""
    return Node({"use": node}, node.where, node.folder, {"use": node.where})


def _merge_mappings(base: Node, over: Node, problems: list[Problem]) -> Node:
    assert isinstance(base.value, Mapping)
    assert isinstance(over.value, Mapping)
    merged = dict(base.value)
    for key, item in over.value.items():
        merged[key] = merge(merged[key], item, problems) if key in merged else item
    return Node(merged, base.where, base.folder, {**over.keys, **base.keys}, base.implied and over.implied)


def _patch(base: Node, over: Node, problems: list[Problem]) -> Node:
    """A list with some entries changed by overrides."""
    assert isinstance(base.value, tuple)
    assert isinstance(over.value, Mapping)
    items = list(base.value)
    for key, item in over.value.items():
        if key.isascii() and key.isdigit() and len(key) < 6 and int(key) < len(items):
            items[int(key)] = merge(items[int(key)], item, problems)
            continue
        what = f"{key!r} is no entry of {found(base)} at {base.where}"
        fix = f"count from 0 to {len(items) - 1}" if items else "give the whole list: key=[...]"
        problems.append(Problem(item.where, what, fix))
    return Node(tuple(items), base.where, base.folder)


def overlay(words: Iterable[str], folder: Path, problems: list[Problem]) -> Node:
    """All overrides as one layer, so that their order does not matter except for the same path.

    Args:
        words: ``a.b.c=value`` each; the value is YAML.
        folder: against which relative paths in values are read.
        problems: words that are no override are noted here and left out.

    Example:
        >>> overlay(["a.b=[1, 2]", "c=no"], Path(), []).plain()
        {'a': {'b': [1, 2]}, 'c': 'no'}
    """
    layer = Node({}, "overrides", folder, implied=True)
    for word in words:
        try:
            layer = merge(layer, _layer(word, folder), problems)
        except RecipeError as error:
            problems += error.problems
    return layer


def _layer(word: str, folder: Path) -> Node:
    shown = word if len(word) <= 80 else word[:77] + "..."
    where = f"override {shown.encode('utf-8', 'backslashreplace').decode()!r}"
    path, equals, text = word.partition("=")
    keys = path.strip().split(".")
    if not equals:
        raise RecipeError([Problem(where, "an override has a '='", "write it as key.sub=value")])
    if not all(keys):
        raise RecipeError([Problem(where, f"the path {path!r} has an empty part", "write it as key.sub=value")])
    if len(keys) > 20:  # deeper than any recipe, and far from Python's recursion limit
        raise RecipeError([Problem(where, f"the path has {len(keys)} parts", "write it as key.sub=value")])
    node = parse(text, "override", folder, fixed=where)
    for key in reversed(keys):
        node = Node({key: node}, where, folder, {key: where}, implied=True)
    return node
