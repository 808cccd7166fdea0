"""Components by kind and name. Knows what plugins declared; imports a component only when it is asked for.

Two components of one name never shadow each other: both stay reachable as ``distribution/name``, and the bare name is
an error that names both.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from polo.errors import InputError, PoloError
from polo.plugin.component import KINDS, Component
from polo.plugin.record import PluginRecord
from polo.words import did_you_mean


@dataclass(frozen=True)
class Entry:
    """One component and the plugin that declared it."""

    kind: str
    component: Component
    record: PluginRecord

    @property
    def name(self) -> str:
        return self.component.name

    @property
    def dist(self) -> str:
        """Distribution that provides it (the file name for a local plugin)."""
        return self.record.dist

    @property
    def version(self) -> str:
        return self.record.version

    @property
    def qualified(self) -> str:
        """``distribution/name``."""
        return f"{self.dist}/{self.name}"

    def load_options(self) -> type[Any] | None:
        """The options dataclass, or ``None`` for a component without options.

        Raises:
            PoloError: the import string leads nowhere, or to something that is no dataclass.
        """
        if self.component.options is None:
            return None
        loaded = self._load(self.component.options, "options")
        if not (isinstance(loaded, type) and dataclasses.is_dataclass(loaded)):
            raise self._fault(f"options {self.component.options!r} is no dataclass")
        if any(field.name in ("use", "use_") for field in dataclasses.fields(loaded)):
            raise self._fault("an option cannot be called 'use'")
        return loaded

    def load_build(self) -> Callable[..., Any]:
        """The callable ``(options, context) -> object``. May import torch.

        Raises:
            PoloError: the import string leads nowhere, or to something that cannot be called.
        """
        loaded = self._load(self.component.build, "build")
        if not callable(loaded):
            raise self._fault(f"build {self.component.build!r} cannot be called")
        found: Callable[..., Any] = loaded
        return found

    def _load(self, target: str, what: str) -> Any:
        try:
            return self.record.resolve(target)
        except PoloError:
            raise
        except Exception as error:  # whatever a plugin's module raises when it is imported
            message = f"cannot import {what} {target!r}: {type(error).__name__}: {error}"
            raise self._fault(message) from error

    def _fault(self, what: str) -> InputError:
        return InputError(
            f"{self.kind} {self.name!r} of plugin {self.record.label}: {what}",
            fix="a fault of the plugin: update it, or tell its authors",
        )


class Catalogue:
    """All components of all working plugins.

    Args:
        records: what :func:`polo.plugin.load.load_plugins` found, the broken ones too (they are named in errors).
    """

    def __init__(self, records: Iterable[PluginRecord]) -> None:
        self._records = list(records)
        self._entries: dict[str, list[Entry]] = {kind: [] for kind in KINDS}
        for record in self._records:
            for kind, component in record.components:
                self._entries[kind].append(Entry(kind, component, record))
        for entries in self._entries.values():
            entries.sort(key=lambda entry: (entry.name, entry.dist, entry.record.entry))

    def entries(self, kind: str) -> list[Entry]:
        """Components of a kind, by name.

        Raises:
            InputError: there is no such kind.
        """
        if kind not in self._entries:
            raise InputError(f"no kind of component is called {kind!r}", fix=did_you_mean(kind, KINDS, label="kinds"))
        return self._entries[kind]

    def names(self, kind: str) -> list[str]:
        """Names that a recipe may write: bare where one component has it, ``distribution/name`` where several do."""
        entries = self.entries(kind)
        bare = [entry.name for entry in entries]
        return [entry.name if bare.count(entry.name) == 1 else _address(entry, entries) for entry in entries]

    def tagged(self, kind: str, tag: str) -> list[str]:
        """The names among :meth:`names` whose components declare a tag."""
        entries = self.entries(kind)
        return [name for name, entry in zip(self.names(kind), entries, strict=True) if tag in entry.component.tags]

    def find(self, kind: str, name: str) -> Entry:
        """The component that a recipe calls ``name`` (``distribution/name`` and ``entry/name`` work too).

        Raises:
            InputError: there is none, or there are several.
        """
        entries = self.entries(kind)
        found = [entry for entry in entries if entry.name == name]
        if not found and "/" in name:
            owner, _, bare = name.rpartition("/")
            named = [entry for entry in entries if entry.name == bare]
            found = [entry for entry in named if entry.dist == owner] or [
                entry for entry in named if entry.record.entry == owner
            ]
        if len(found) == 1:
            return found[0]
        if not found:
            raise self._unknown(kind, name)
        ways = [_address(entry, found) for entry in found]
        raise InputError(
            f"{len(found)} plugins provide the {kind} {name!r}: {', '.join(entry.record.label for entry in found)}",
            fix=f"write {' or '.join(ways)}",
        )

    def _unknown(self, kind: str, name: str) -> InputError:
        hints = []
        others = [other for other in KINDS if other != kind and name in (entry.name for entry in self._entries[other])]
        known = self.names(kind)
        if others:
            hints.append(f"{name!r} is a {others[0]}, not a {kind}")
        else:
            hints.append(did_you_mean(name, known) or f"no plugin provides a {kind}")
        hints += [
            f"plugin {record.label} may provide it, but failed to load: {record.error}"
            for record in self._records
            if record.status == "broken"
        ]
        hints += [
            f"plugin {record.label} may provide it, but is blocked ({record.error})"
            for record in self._records
            if record.status == "blocked"
        ]
        return InputError(f"unknown {kind} {name!r}", fix="; ".join(hints))


def _address(entry: Entry, among: list[Entry]) -> str:
    """``distribution/name``, or ``entry/name`` when one distribution provides the name twice."""
    same = [other for other in among if other.name == entry.name and other.dist == entry.dist]
    return entry.qualified if len(same) == 1 else f"{entry.record.entry}/{entry.name}"
