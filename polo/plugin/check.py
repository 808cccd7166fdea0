"""Checks of one plugin module against the hooks, and the collection of what it declares.

Knows pluggy's markers and :mod:`polo.plugin.hookspecs`; does not find or import plugins.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pluggy

from polo.errors import InputError
from polo.plugin import hookspecs
from polo.plugin.component import KINDS, PLUGIN_API, Component
from polo.words import did_you_mean

#: name in a plugin's module of the ``polo.PLUGIN_API`` that it was written for
API = "POLO_PLUGIN_API"
_MARK = "polo_impl"
_NAME = re.compile(r"[a-z][a-z0-9_]*(\.[a-z0-9_]+)*")
_TARGET = re.compile(r"[A-Za-z_][\w.-]*:[A-Za-z_][\w.]*|:[A-Za-z_][\w.]*")


@dataclass(frozen=True)
class Declared:
    """What one plugin returned from its hooks."""

    components: tuple[tuple[str, Component], ...]
    recipes: tuple[Path, ...]
    commands: tuple[tuple[str, str], ...]


def hook_names() -> list[str]:
    """Names of all hooks.

    Example:
        >>> "polo_loss_heads" in hook_names()
        True
    """
    return sorted(name for name in vars(hookspecs) if name.startswith("polo_"))


def check(module: ModuleType) -> list[str]:
    """Refuses what pluggy would accept and never call as meant.

    Returns:
        Warnings: public ``polo_*`` functions without ``@polo.hookimpl``, which are never called.

    Raises:
        InputError: written for other contracts; an unknown hook, an argument with a default (pluggy would never fill
            it), an unknown argument, or a wrapper around a hook.
    """
    _check_api(module)
    warnings = []
    for name, function in inspect.getmembers(module, inspect.isroutine):
        if not name.startswith("polo_"):
            continue
        options = getattr(function, _MARK, None)
        if options is None:
            if getattr(function, "__module__", None) == module.__name__:
                warnings.append(f"function {name!r} has no @polo.hookimpl and is never called")
            continue
        name = options.get("specname") or name
        spec = getattr(hookspecs, name, None)
        if spec is None:
            if options.get("optionalhook"):
                continue
            raise InputError(f"there is no hook {name!r}", fix=did_you_mean(name, hook_names(), label="hooks"))
        if options.get("wrapper") or options.get("hookwrapper"):
            raise InputError(f"hook {name!r} collects declarations or only observes, and cannot be wrapped")
        _check_arguments(name, function, spec)
    return warnings


def _check_api(module: ModuleType) -> None:
    """A plugin may say which version of the contracts it was written for; one that does not is taken as it is."""
    made_for = vars(module).get(API)
    if made_for is not None and made_for != PLUGIN_API:
        raise InputError(
            f"written for version {made_for!r} of the plugin contracts ({API}); this polo has version {PLUGIN_API}",
            fix="install a version of the plugin, or of polo, that fits",
        )


def _check_arguments(name: str, function: Any, spec: Any) -> None:
    known = list(inspect.signature(spec).parameters)
    for parameter in inspect.signature(function).parameters.values():
        if parameter.default is not parameter.empty:
            raise InputError(
                f"argument {parameter.name!r} of hook {name!r} has a default, so it would never be filled",
                fix=f"write it without: def {name}({', '.join(known)})",
            )
        if parameter.kind is not parameter.POSITIONAL_OR_KEYWORD or parameter.name not in known:
            allowed = f"it may take: {', '.join(known)}" if known else "it takes none"
            raise InputError(f"hook {name!r} has no argument {parameter.name!r}", fix=allowed)


def collect(manager: pluggy.PluginManager, module: ModuleType) -> Declared:
    """Calls the declaring hooks of one registered plugin.

    Raises:
        InputError: a hook returns something else than it should.
    """
    components: list[tuple[str, Component]] = []
    for kind, hook in KINDS.items():
        for item in _call(manager, module, hook):
            _check_component(hook, item)
            if any(item.name == other.name for seen, other in components if seen == kind):
                raise InputError(f"hook {hook!r} declares {item.name!r} twice")
            components.append((kind, item))
    recipes = tuple(Path(folder) for folder in _call(manager, module, "polo_recipes"))
    return Declared(tuple(components), recipes, tuple(_call(manager, module, "polo_cli_commands")))


def _call(manager: pluggy.PluginManager, module: ModuleType, hook: str) -> list[Any]:
    for implementation in getattr(manager.hook, hook).get_hookimpls():
        if implementation.plugin is not module:
            continue
        result = implementation.function()
        if isinstance(result, Mapping):
            return [(str(name), str(target)) for name, target in result.items()]
        if not isinstance(result, list | tuple):
            raise InputError(f"hook {hook!r} returned {type(result).__name__}, not a list")
        return list(result)
    return []


def _check_component(hook: str, item: Any) -> None:
    if not isinstance(item, Component):
        raise InputError(f"hook {hook!r} returned {item!r} in its list, not a polo.Component")
    if not isinstance(item.name, str) or not _NAME.fullmatch(item.name):
        raise InputError(
            f"hook {hook!r} declares a component called {item.name!r}",
            fix="names are lower case, words joined by '_'",
        )
    targets = [item.build] if item.options is None else [item.build, item.options]
    for target in targets:
        if not isinstance(target, str) or not _TARGET.fullmatch(target):
            raise InputError(
                f"component {item.name!r}: {target!r} is no import string", fix="write 'package.module:attribute'"
            )
