"""What is known of one plugin: where it came from, how loading it went, and what it provides."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from polo.plugin.component import Component


@dataclass(frozen=True)
class PluginRecord:
    """One plugin and how its loading went.

    Args:
        dist, version: distribution (``my_sampler.py`` for a local file) and its version.
        entry: name of the entry point (the file's stem for a local file).
        module, file: what was imported, from where (``file`` is empty if it was not imported).
        status, error: ``broken`` and ``blocked`` say why in ``error``.
        trace: of one that is broken, the traceback.
        seconds: what loading took.
        components: (kind, declaration) of all it provides.
        recipes, commands: what the hooks ``polo_recipes`` and ``polo_cli_commands`` returned.
        warnings: things its author should know.
        local: a file given by path, not an installed distribution.
        sha256: of the bytes of a local file, those that were executed.
    """

    dist: str
    version: str
    entry: str
    module: str
    file: str = ""
    status: Literal["ok", "broken", "blocked"] = "ok"
    error: str = ""
    trace: str = ""
    seconds: float = 0.0
    components: tuple[tuple[str, Component], ...] = ()
    recipes: tuple[Path, ...] = ()
    commands: tuple[tuple[str, str], ...] = ()
    warnings: tuple[str, ...] = ()
    local: bool = False
    sha256: str = ""

    @property
    def label(self) -> str:
        """``distribution version (entry)``, or the path of a local file."""
        return self.file if self.local else f"{self.dist} {self.version} ({self.entry})"

    def resolve(self, target: str) -> Any:
        """The object of an import string; ``":name"``, and in a local file ``"stem:name"``, mean the plugin itself."""
        module, _, attribute = target.partition(":")
        if not module or (self.local and module == self.entry):
            module = self.module
        found: Any = importlib.import_module(module)
        for name in attribute.split("."):
            found = getattr(found, name)
        return found
