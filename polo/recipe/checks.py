"""What a recipe must satisfy beyond types: lengths of stages, what ``reference`` names, requirements, safe names.

Works on nodes rather than on the validated recipe, so that these problems are told together with all others.
"""

from __future__ import annotations

import importlib.metadata
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from polo.errors import Problem
from polo.plugin.load import Plugins
from polo.recipe.node import Node, found
from polo.words import did_you_mean

#: letters that every file system and shell takes as they are
_SAFE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,79}")
_STAGE = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,39}")
#: what ``reference`` may say besides a stage, so no stage may be called so
_RESERVED = ("base", "none")


def check(tree: Node, plugins: Plugins) -> Iterator[Problem]:
    """All structural problems of a merged recipe."""
    yield from _name(tree)
    yield from _stages(tree)
    yield from _reference(tree)
    yield from _folder(tree, "init_from")
    yield from _requires(tree, plugins)


def _name(tree: Node) -> Iterator[Problem]:
    name = tree.child("name")
    if name is not None and isinstance(name.value, str) and not _SAFE.fullmatch(name.value):
        fix = "use letters, digits, '.', '_' and '-' (at most 80), beginning with a letter or digit"
        yield Problem(name.where, f"name: {found(name)} cannot name a folder", fix)


def _stage_nodes(tree: Node) -> Mapping[str, Node]:
    stages = tree.child("stages")
    return stages.value if stages is not None and isinstance(stages.value, Mapping) else {}


def _stages(tree: Node) -> Iterator[Problem]:
    stages = tree.child("stages")
    for name, stage in _stage_nodes(tree).items():
        where = stages.keys.get(name, stage.where) if stages is not None else stage.where
        if name in _RESERVED:
            yield Problem(where, f"a stage cannot be called {name!r}", f"'reference: {name}' has a meaning of its own")
        elif not _STAGE.fullmatch(name):
            yield Problem(where, f"a stage cannot be called {name!r}", "use letters, digits, '_' and '-' (at most 40)")
        if not isinstance(stage.value, Mapping) or stage.implied:
            continue
        given = [
            key for key in ("epochs", "steps") if (child := stage.child(key)) is not None and child.value is not None
        ]
        if len(given) == 2:
            one = stage.keys.get("steps", stage.where)
            yield Problem(one, f"stages.{name}: both epochs and steps are given", "keep one (the other may be null)")
        elif not given:
            yield Problem(where, f"stages.{name}: how long? Neither epochs nor steps is given", "add one of the two")
        yield from _start(name, stage, list(_stage_nodes(tree)))


def _start(name: str, stage: Node, stages: list[str]) -> Iterator[Problem]:
    node = stage.child("start")
    if node is None or not isinstance(node.value, str):
        return
    names = [*stages[: stages.index(name)], "base"]
    if node.value not in names:
        what = "is no earlier stage" if node.value in stages else "is no stage"
        fix = did_you_mean(node.value, names, label="it may be one of")
        yield Problem(node.where, f"stages.{name}.start: {node.value!r} {what}", fix)


def _reference(tree: Node) -> Iterator[Problem]:
    node = tree.child("reference")
    if node is None or not isinstance(node.value, str) or node.value in _RESERVED:
        return
    stages = list(_stage_nodes(tree))
    if node.value in stages:
        if len(stages) > 1 and node.value == stages[-1]:
            fix = f"earlier stages: {', '.join(stages[:-1])}; or base, none, a folder"
            yield Problem(node.where, f"reference: {node.value!r} is the last stage, so none comes after it", fix)
    elif not _is_folder(node.value):
        names = [*stages[:-1], *_RESERVED]
        yield Problem(
            node.where,
            f"reference: {node.value!r} is neither a stage nor an existing folder",
            did_you_mean(node.value, names, label="it may be a folder with weights, or one of"),
        )


def _folder(tree: Node, key: str) -> Iterator[Problem]:
    node = tree.child(key)
    if node is not None and isinstance(node.value, str) and not _is_folder(node.value):
        yield Problem(node.where, f"{key}: there is no folder {node.value!r}", "give a folder with weights: RUN/final")


def _is_folder(text: str) -> bool:
    try:
        return Path(text).expanduser().is_dir()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL byte, no home folder
        return False


def _requires(tree: Node, plugins: Plugins) -> Iterator[Problem]:
    wanted = tree.child("requires")
    if wanted is None or not isinstance(wanted.value, tuple):
        return
    unmet: list[str] = []
    places: list[tuple[str, str]] = []
    for item in wanted.value:
        if not isinstance(item.value, str):
            continue  # the types say so
        try:
            need = Requirement(item.value)
        except InvalidRequirement:
            yield Problem(item.where, f"requires: {found(item)} is no requirement", "write it as polo-plugin-x>=0.2")
            continue
        if need.marker is not None and not need.marker.evaluate():
            continue
        yield from _not_working(need, item, plugins)
        lack = _lack(need)
        if lack:
            unmet.append(str(need))
            places.append((item.where, f"requires: {need.name} {lack}"))
    command = "python -m pip install " + " ".join(f'"{text}"' for text in unmet)
    for where, what in places:
        yield Problem(where, what, command)


def _lack(need: Requirement) -> str:
    """Why a requirement is not met; empty if it is."""
    try:
        version = importlib.metadata.version(need.name)
    except (importlib.metadata.PackageNotFoundError, ValueError):
        return "is not installed"
    if need.specifier.contains(version, prereleases=True):
        return ""
    return f"is installed as {version}, but {need.specifier} is wanted"


def _not_working(need: Requirement, item: Node, plugins: Plugins) -> Iterator[Problem]:
    for record in plugins.of(need.name):
        if record.status == "broken":
            yield Problem(
                item.where, f"requires: plugin {record.label} failed to load: {record.error}", "see: polo plugins"
            )
        elif record.status == "blocked":
            yield Problem(item.where, f"requires: plugin {record.label} is blocked ({record.error})", "unblock it")
