"""Whether a run that goes on is the run that began. Knows recipes as trees; knows no stage and no weights."""

from __future__ import annotations

import json
from typing import Any

from polo.errors import InputError
from polo.recipe.model import Resolved
from polo.store.runfolder import RunFolder
from polo.store.shapes import Provenance, read


def same_recipe(resolved: Resolved, folder: RunFolder) -> None:
    """Going on needs the very recipe that the run began with; ``out`` may differ.

    Raises:
        InputError: it is another one; names what differs.
    """
    if words := differs(resolved, folder):
        raise InputError(
            f"the recipe is not the one that this run began with; it differs in {', '.join(words[:5])}",
            where=str(folder.path),
            fix="start a new run, or give the same recipe and overrides; `init_from:` starts anew from weights",
        )


def differs(resolved: Resolved, folder: RunFolder) -> list[str]:
    """Dotted paths at which a recipe is not the one that a run began with, ``out`` apart.

    Raises:
        InputError: the run does not tell what it began with.
    """
    began = read(folder.path / "provenance.json", Provenance, fix="restore the file, or start a new run")["recipe"]
    now = json.loads(json.dumps(resolved.tree))
    return sorted(path for path in differing(began, now) if path != "out")


def differing(a: Any, b: Any, path: str = "") -> list[str]:
    """Dotted paths at which two trees differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [k for k in {**a, **b} if k in a or k in b]
        return [d for k in keys for d in differing(a.get(k), b.get(k), f"{path}.{k}" if path else str(k))]
    return [] if a == b else [path]
