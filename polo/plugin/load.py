"""Finding, loading, blocking and registering plugins.

Knows entry points of group ``polo``, local files and pluggy; a plugin that fails is recorded and left out, it never
takes polo down. Does not know what components do. pluggy's own ``load_setuptools_entrypoints`` is not used: there one
failing import ends everything, and a second distribution with a known entry-point name is skipped without a word.

Environment:
    ``POLO_PLUGINS``: allow list (distributions or entry names, by commas) beside polo's own; empty = polo's own only.
    ``POLO_DISABLE_PLUGINS``: block list.
    ``POLO_STRICT_PLUGINS=1``: any failure is fatal (for a plugin's own CI).
"""

from __future__ import annotations

import hashlib
import importlib
import importlib.machinery
import importlib.metadata
import importlib.util
import os
import re
import sys
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import CodeType, ModuleType

import pluggy

from polo.errors import InputError, PoloError
from polo.plugin import hookspecs
from polo.plugin.catalogue import Catalogue
from polo.plugin.check import Declared, check, collect
from polo.plugin.record import PluginRecord
from polo.words import did_you_mean

GROUP = "polo"
#: seconds of this process that an installed plugin may take to load before its author is told
SLOW = 1.0
#: the distribution whose plugins count as polo's own
FIRST_PARTY = "polo-rec"


class Plugins:
    """All plugins of one invocation, made by :func:`load_plugins`.

    ``manager`` calls the events (``plugins.manager.hook.polo_run_started(run=..., recipe=...)``), ``catalogue`` finds
    components.
    """

    def __init__(self) -> None:
        self.manager = pluggy.PluginManager("polo")
        self.manager.add_hookspecs(hookspecs)
        self.records: list[PluginRecord] = []
        self._catalogue: Catalogue | None = None

    @property
    def catalogue(self) -> Catalogue:
        """Components of all working plugins, collected once."""
        if self._catalogue is None:
            self._catalogue = Catalogue(self.records)
        return self._catalogue

    def of(self, dist: str) -> list[PluginRecord]:
        """Plugins of a distribution (spelling as pip compares it)."""
        return [record for record in self.records if _normal(record.dist) == _normal(dist)]

    def load_file(self, path: Path) -> PluginRecord:
        """Loads a local plugin file, once; what it declares is in the catalogue afterwards.

        Raises:
            InputError: there is no such file. (A file that fails is recorded as broken.)
        """
        fix = "give the path of a Python file"
        try:
            file = path.expanduser().resolve()
            if file.is_dir():
                raise InputError("plugin file is a folder, not a file", where=str(path), fix=fix)
            for record in self.records:
                if record.local and record.file == str(file):
                    return record
            source = file.read_bytes()
        except FileNotFoundError:
            raise InputError("plugin file does not exist", where=str(path), fix=fix) from None
        except (OSError, ValueError, RuntimeError) as error:  # no right to read, a NUL byte, no such home folder
            raise InputError(f"plugin file cannot be read: {error}", where=str(path), fix=fix) from None
        blank = PluginRecord(
            dist=file.name, version="", entry=file.stem, module=_local_name(file, source), file=str(file), local=True,
            sha256=hashlib.sha256(source).hexdigest(),
        )  # fmt: skip
        return self._add(blank, lambda: _import_file(blank.module, file, source))

    def _add(self, blank: PluginRecord, load: Callable[[], ModuleType]) -> PluginRecord:
        began, worked = time.perf_counter(), time.process_time()
        try:
            record = self._register(blank, load())
        except (Exception, SystemExit) as error:  # whatever a plugin does while it is imported
            text = str(error) if isinstance(error, PoloError) else f"{type(error).__name__}: {error}"
            trace = "".join(traceback.format_exception(error))
            record = replace(blank, status="broken", error=" ".join(text.split()), trace=trace)
            if os.environ.get("POLO_STRICT_PLUGINS", "") not in ("", "0"):
                fix = "mend it, or unset POLO_STRICT_PLUGINS"
                raise InputError(f"plugin {record.label} is broken: {record.error}", fix=fix) from error
        record = replace(record, seconds=time.perf_counter() - began)
        worked = time.process_time() - worked
        if worked > SLOW and not record.local and record.status == "ok":
            slow = f"takes {worked:.1f} s to load, in every command: import what is heavy inside what needs it"
            record = replace(record, warnings=(*record.warnings, slow))
        self.records.append(record)
        self._catalogue = None
        return record

    def _register(self, blank: PluginRecord, module: ModuleType) -> PluginRecord:
        warnings = check(module)
        name = f"{blank.dist}:{blank.entry}" if not blank.local else blank.module
        try:
            self.manager.register(module, name)
            self.manager.check_pending()
            found: Declared = collect(self.manager, module)
        except BaseException:
            if self.manager.is_registered(module):
                self.manager.unregister(module)
            raise
        return replace(
            blank,
            file=str(getattr(module, "__file__", "") or ""),
            components=found.components,
            recipes=found.recipes,
            commands=found.commands,
            warnings=tuple(warnings),
        )


def load_plugins(
    files: Iterable[Path | str] = (),
    disable: Iterable[str] = (),
    only: Sequence[str] | None = None,
    known: Iterable[str] = (),
) -> Plugins:
    """Loads installed plugins in the order (distribution, entry name), then local files in the order given.

    Args:
        files: local plugin files.
        disable: distributions or entry names to leave out (beside ``POLO_DISABLE_PLUGINS``).
        only: allow list beside polo's own plugins (instead of ``POLO_PLUGINS``); ``None`` allows all.
        known: further names that ``disable`` may name, of files that others would load.

    Raises:
        InputError: a file does not exist, ``disable`` names nothing, or a plugin fails under ``POLO_STRICT_PLUGINS``.

    Example:
        >>> "policy" in load_plugins(only=()).catalogue.names("scorer")
        True
    """
    plugins = Plugins()
    found = sorted(_entry_points(), key=lambda item: (_normal(item[0].dist), item[0].entry))
    paths = [Path(file) for file in files]
    names = {word for blank, _ in found for word in (blank.dist, blank.entry)} | {path.stem for path in paths}
    names |= set(known)
    disable = list(disable)
    for word in disable:
        if _normal(word) not in {_normal(name) for name in names}:
            raise InputError(f"no plugin is called {word!r}, so none can be left out", fix=did_you_mean(word, names))
    allowed = _words(os.environ["POLO_PLUGINS"]) if only is None and "POLO_PLUGINS" in os.environ else only
    blocked = _words(os.environ.get("POLO_DISABLE_PLUGINS", ""))
    for blank, load in found:
        reason = _blocked(blank, allowed, blocked, disable, from_env=only is None)
        if reason:
            plugins.records.append(replace(blank, status="blocked", error=reason))
        else:
            plugins._add(blank, load)  # noqa: SLF001
    for path in paths:
        if _normal(path.stem) not in {_normal(word) for word in disable}:
            plugins.load_file(path)
    return plugins


def _entry_points() -> Iterable[tuple[PluginRecord, Callable[[], ModuleType]]]:
    for point in importlib.metadata.entry_points(group=GROUP):
        dist = point.dist.name if point.dist else "unknown"
        version = point.dist.version if point.dist else ""
        blank = PluginRecord(dist=dist, version=version, entry=point.name, module=point.module)
        yield blank, point.load


def _blocked(
    blank: PluginRecord,
    allowed: Sequence[str] | None,
    blocked: Sequence[str],
    disable: Sequence[str],
    *,
    from_env: bool,
) -> str:
    """Why a plugin is left out; empty if it is not."""
    names = {_normal(blank.dist), _normal(blank.entry)}
    if names & {_normal(word) for word in disable}:
        return "--no-plugin"
    if names & {_normal(word) for word in blocked}:
        return "POLO_DISABLE_PLUGINS"
    if allowed is None or _normal(blank.dist) == FIRST_PARTY or names & {_normal(word) for word in allowed}:
        return ""
    return "not in POLO_PLUGINS" if from_env else "not in the allow list"


class _Exactly(importlib.machinery.SourceFileLoader):
    """Executes the very bytes whose hash was taken: no second reading, and no bytecode that lies beside the file."""

    def __init__(self, name: str, file: Path, source: bytes) -> None:
        super().__init__(name, str(file))
        self._source = source

    def get_code(self, fullname: str) -> CodeType:
        code: CodeType = compile(self._source, self.path, "exec", dont_inherit=True)
        return code


def _import_file(name: str, file: Path, source: bytes) -> ModuleType:
    """Imports a file under a name of its own, so that two files of one name do not meet."""
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file, loader=_Exactly(name, file, source))
    if spec is None or spec.loader is None or file.suffix != ".py":
        raise InputError("not a Python file", where=str(file), fix="a plugin file ends in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module  # dataclasses and get_type_hints look their module up here
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _local_name(file: Path, source: bytes) -> str:
    """The same file with the same content keeps its module, so that its classes stay the same objects."""
    digest = hashlib.blake2b(str(file).encode(errors="surrogateescape") + b"\0" + source, digest_size=6)
    return f"_polo_local_{re.sub(r'[^0-9A-Za-z_]', '_', file.stem)}_{digest.hexdigest()}"


def _words(text: str) -> list[str]:
    return [word.strip() for word in text.split(",") if word.strip()]


def _normal(name: str) -> str:
    """Names as pip compares them (PEP 503)."""
    return re.sub(r"[-_.]+", "-", name).lower()
