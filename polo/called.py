"""Rooms whose name is also what a notebook calls: ``polo.run`` is a package, and ``polo.run(RECIPE)`` runs one."""

from __future__ import annotations

import importlib
import inspect
import sys
from collections.abc import Callable
from types import ModuleType
from typing import Any


class _Room(ModuleType):
    """A package that stands for a function of the same name wherever it is called."""

    @property
    def __call__(self) -> Callable[..., Any]:  # a property, so that Python's own check of the arguments applies
        found: Callable[..., Any] = getattr(importlib.import_module("polo.door.calls"), self.__name__.split(".")[-1])
        return found

    @property
    def __signature__(self) -> inspect.Signature:
        return inspect.signature(self.__call__)


def called(name: str) -> None:
    """Makes a package of polo callable, as the function of ``polo.door`` that bears its name.

    Args:
        name: ``__name__`` of the package.

    Example:
        >>> import polo.run, inspect
        >>> list(inspect.signature(polo.run).parameters)[:2]
        ['recipe', 'overrides']
    """
    sys.modules[name].__class__ = _Room
