"""``polo plugin``: for those who write plugins.

``new`` writes a package that works; ``check`` asks every component of one whether it keeps its contract.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from pathlib import Path
from textwrap import indent
from typing import Annotated

import typer

from polo.cli.common import PluginOption, VerboseOption, open_plugins
from polo.cli.output import flush, note, print_heading, print_text
from polo.errors import InputError, RecipeError
from polo.plugin.component import KINDS
from polo.plugin.load import FIRST_PARTY, Plugins
from polo.plugin.record import PluginRecord
from polo.words import did_you_mean

plugin = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="For those who write plugins: begin one, check the components of one.",
)


@plugin.callback()
def _plugin() -> None:
    """For those who write plugins: begin one, check the components of one."""


@plugin.command("new")
def new(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="Such as near-miss, of the package and of its component.")
    ],
    kind: Annotated[str, typer.Option(metavar="KIND", help=f"One of {', '.join(KINDS)}.")],
    to: Annotated[Path, typer.Option(metavar="FOLDER", help="Where the new folder is made.")] = Path(),
) -> None:
    """Begin a plugin: a package with one component that works, its tests, an example recipe and CI. Overwrites nothing.

    The last line on stdout is the new folder.
    """
    from polo import __version__
    from polo.plugin.scaffold import scaffold, words
    from polo.store.files import whole_folder

    said = words(name, kind, __version__)
    folder = to / said["dist"]
    if folder.exists() or folder.is_symlink():
        raise InputError("exists already", where=str(folder), fix="choose another name, or --to another folder")
    taken = [entry for entry in open_plugins().catalogue.entries(kind) if entry.name == said["component"]]
    if taken:
        whose = taken[0].record.label
        raise InputError(f"there is a {kind} called {said['component']!r}, of {whose}", fix="choose another name")
    with whole_folder(folder, manifest=False, replace=False) as work:
        for path, text in scaffold(said).items():
            (work / path).parent.mkdir(parents=True, exist_ok=True)
            (work / path).write_text(text, encoding="utf-8")
    recipe = f"{said['component']}_toy"
    note(f"next: cd {folder}; python -m pip install -e '.[test]'; python -m pytest; polo run {recipe}", "")
    print_text(str(folder))


@plugin.command("check")
def check(
    dist: Annotated[
        str | None,
        typer.Argument(metavar="[DIST]", help="A distribution; all but polo's own if not given.", show_default=False),
    ] = None,
    plugin: PluginOption = None,
    verbose: VerboseOption = False,
) -> None:
    """Check every component of a plugin against the contract of its kind. Exit code 1 if a check fails.

    A component whose required options are not components is skipped, and named: check it with
    polo.testing.check_component and its options.
    """
    plugins = open_plugins(plugin)
    records = _records(dist, plugins, [] if plugin is None else plugin)
    failed = sum(_check(record, plugins, verbose=verbose) for record in records)
    flush()
    if failed:
        note(f"{failed} failed", "bold red")
        sys.exit(1)


def _records(dist: str | None, plugins: Plugins, files: Sequence[Path]) -> list[PluginRecord]:
    """The plugins that are asked for."""
    if dist is not None:
        found = plugins.of(dist)
        names = [record.dist for record in plugins.records]
        if not found:
            raise InputError(f"no plugin comes from a distribution called {dist!r}", fix=did_you_mean(dist, names))
        return found
    if files:
        return [record for record in plugins.records if record.local]
    found = [record for record in plugins.records if record.dist != FIRST_PARTY and record.status != "blocked"]
    if not found:
        raise InputError("no plugin but polo's own is installed", fix="give a distribution, or --plugin FILE")
    return found


def _check(record: PluginRecord, plugins: Plugins, *, verbose: bool) -> int:
    """Prints what the checks of one plugin say, and gives how many failed."""
    print_heading(record.label)
    if record.status != "ok":
        print_text(f"  {record.status}: {record.error}", "red")
        if verbose:
            print_text(indent(record.trace.rstrip(), "  "), "dim")
        return 1
    for warning in record.warnings:
        print_text(f"  warning: {warning}", "yellow")
    if not record.components:
        print_text("  no components")
    named = [(kind, component.name) for kind, component in record.components]
    return sum(_component(kind, name, record, plugins, verbose=verbose) for kind, name in named)


def _component(kind: str, name: str, record: PluginRecord, plugins: Plugins, *, verbose: bool) -> int:
    from polo.testing import Check, check_component

    done, failed = 0, list[tuple[Check, str, Exception]]()
    for one in check_component(kind, _address(kind, name, record, plugins), plugins=plugins):
        try:
            one()
            done += 1
        except RecipeError as error:
            print_text(f"  {kind}/{name}: skipped, it needs options: {error.problems[0].what}", "yellow")
            break
        except AssertionError as error:
            failed.append((one, str(error).splitlines()[0] if str(error) else one.law, error))
        except Exception as error:  # a plugin's code may raise anything, and each check is told of
            failed.append((one, " ".join(f"{type(error).__name__}: {error}".split()), error))
    print_text(f"  {kind}/{name}: {done} checks hold" + (f", {len(failed)} fail" if failed else ""))
    for one, what, why in failed:
        print_text(f"    {one.name}: {what}", "red")
        if verbose:
            print_text(indent("".join(traceback.format_exception(why)).rstrip(), "      "), "dim")
    return len(failed)


def _address(kind: str, name: str, record: PluginRecord, plugins: Plugins) -> str:
    """The name that means this plugin's component, though others have one of the same name."""
    same = [entry for entry in plugins.catalogue.entries(kind) if entry.name == name]
    if len(same) == 1:
        return name
    alike = [entry for entry in same if entry.dist == record.dist]
    return f"{record.dist if len(alike) == 1 else record.entry}/{name}"
