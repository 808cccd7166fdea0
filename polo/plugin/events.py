"""Telling plugins what happened. Knows hooks that only observe: one that fails is named, and told nothing more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pluggy


def listened(manager: pluggy.PluginManager, event: str) -> bool:
    """Whether a plugin implements an event.

    Example:
        >>> from polo.plugin.load import load_plugins
        >>> listened(load_plugins(only=()).manager, "polo_step_ended")
        False
    """
    return bool(getattr(manager.hook, event).get_hookimpls())


def tell(
    manager: pluggy.PluginManager,
    event: str,
    facts: Mapping[str, Any],
    warn: Callable[[str], None],
    trace: Callable[[BaseException], None] = lambda error: None,
) -> None:
    """Calls the implementations of an event, the last registered first; a run does not end because a watcher fails.

    Args:
        manager: of the plugins.
        event: name of the hook.
        facts: its arguments by name, of which an implementation takes any.
        warn: is told in a line of a plugin whose implementation failed.
        trace: is given its error.
    """
    for implementation in reversed(getattr(manager.hook, event).get_hookimpls()):
        try:
            implementation.function(*(facts[name] for name in implementation.argnames))
        except (Exception, SystemExit) as error:  # whatever a plugin does while it watches
            manager.unregister(implementation.plugin)
            what = " ".join(f"{type(error).__name__}: {error}".split())
            warn(f"plugin {implementation.plugin_name}: its hook {event} failed, it is told nothing more: {what}")
            trace(error)
