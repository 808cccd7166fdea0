"""Recipes: from a YAML file, a profile and overrides to a validated recipe that knows where each value came from.

Its names are loaded when they are first used, because options and recipes know of each other.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from polo.recipe.loading import load as load
    from polo.recipe.loading import to_yaml as to_yaml
    from polo.recipe.model import Recipe as Recipe
    from polo.recipe.model import Resolved as Resolved

_PUBLIC = {
    "Recipe": "polo.recipe.model",
    "Resolved": "polo.recipe.model",
    "load": "polo.recipe.loading",
    "to_yaml": "polo.recipe.loading",
}
__all__ = [*_PUBLIC]


def __getattr__(name: str) -> Any:
    try:
        module = _PUBLIC[name]
    except KeyError:
        raise AttributeError(f"module 'polo.recipe' has no attribute {name!r}") from None
    return getattr(importlib.import_module(module), name)
