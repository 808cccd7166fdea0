"""``polo plugins``: which plugins there are, what they provide, and which of them failed and why."""

from __future__ import annotations

import sys
from collections import Counter
from typing import Annotated, Any

import typer

from polo.cli.common import JsonOption, NoPluginOption, PluginOption, VerboseOption, open_plugins
from polo.cli.output import note, print_json, print_table
from polo.plugin.record import PluginRecord


def plugins(
    json: JsonOption = False,
    check: Annotated[bool, typer.Option("--check", help="Exit code 1 if a plugin is broken.")] = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    verbose: VerboseOption = False,
) -> None:
    """List plugins with their status, components, load time and place."""
    records = open_plugins(plugin, no_plugin).records
    if json:
        print_json([_as_json(record) for record in records])
    else:
        rows = [
            [record.entry, f"{record.dist} {record.version}".strip(), record.status, f"{record.seconds * 1000:.0f} ms",
             _provides(record)]
            for record in records
        ]  # fmt: skip
        print_table(["name", "distribution", "status", "time", "provides"], rows)
        sys.stdout.flush()
        for record in records:
            if record.status == "broken":
                note(f"{record.label} is broken: {record.error}", "red")
                if verbose:
                    note(record.trace.rstrip(), "dim")
            for warning in record.warnings:
                note(f"{record.label}: {warning}")
    if check and any(record.status == "broken" for record in records):
        sys.exit(1)


def _provides(record: PluginRecord) -> str:
    if record.status == "blocked":
        return f"blocked by {record.error}" if record.error.startswith(("--", "POLO")) else record.error
    counts = Counter(kind for kind, _ in record.components)
    provided = [f"{count} {kind}" for kind, count in counts.items()]
    return ", ".join(provided + ["recipes"] * bool(record.recipes) + [f"command {name}" for name, _ in record.commands])


def _as_json(record: PluginRecord) -> dict[str, Any]:
    return {
        "name": record.entry,
        "dist": record.dist,
        "version": record.version,
        "module": record.module,
        "file": record.file,
        "status": record.status,
        "error": record.error,
        "seconds": round(record.seconds, 6),
        "components": [f"{kind}/{component.name}" for kind, component in record.components],
        "recipes": [str(folder) for folder in record.recipes],
        "commands": [name for name, _ in record.commands],
        "warnings": list(record.warnings),
        "local": record.local,
    }
