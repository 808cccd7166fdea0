"""``polo diagnose``: why vectors of items train well or badly, rung by rung. The work is in ``polo.run.diagnose``."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from polo.cli import INTERRUPTED
from polo.cli.common import (
    JsonOption,
    NoPluginOption,
    OverridesArgument,
    PluginOption,
    ProfileOption,
    QuietOption,
    RecipeArgument,
    TrustOption,
    VerboseOption,
    not_both,
    open_recipe,
)
from polo.cli.output import note, print_json, print_table
from polo.errors import InputError

if TYPE_CHECKING:
    from polo.plugin.load import Plugins
    from polo.recipe.model import Resolved
    from polo.report.diagnosis import Diagnosed


def diagnose(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    profile: ProfileOption = "auto",
    rung: Annotated[
        list[str] | None,
        typer.Option(metavar="NAME", help="Only this rung (repeatable), or one of your own: 'NAME: KEY=VALUE ...'.",
                     show_default=False),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where the page goes; NAME-diagnosis.html beside the runs if not given.",
                     show_default=False),
    ] = None,
    json: JsonOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:  # fmt: skip
    """Train a recipe with simpler and simpler item vectors, and show why they differ. Prints the path of a page."""
    not_both(quiet=quiet, verbose=verbose)
    from polo.run.ladder import chosen, ladder, together

    words = list(overrides or ())

    def opened(*changes: str) -> tuple[Resolved, Plugins]:
        given = together(words, changes)
        return open_recipe(recipe, given, profile, plugin, no_plugin, trust_plugins=trust_plugins, started=True,
                           quiet=quiet)  # fmt: skip

    resolved, plugins = opened()
    from polo.report.diagnosis import page
    from polo.run import diagnose as work
    from polo.store.files import write_bytes
    from polo.store.mirror import is_remote
    from polo.train.interrupt import Interrupted

    name = resolved.recipe.name
    rungs = chosen(ladder(resolved.recipe, plugins.catalogue), rung or ())
    ready = [(one, opened(*one.overrides, f"name={name}-{one.slug}")) for one in rungs]
    left: dict[str, str] = {}
    for one, (changed, with_) in reversed(ready):  # the recipe's own first: if that cannot be, nothing can
        try:
            work.check(changed, with_, quiet=quiet)
        except InputError as refused:
            if rung or one is rungs[-1]:
                raise
            left[one.name] = refused.what
            note(str(InputError(f"rung {one.name} is left out: {refused.what}", fix=refused.fix)))
    ready = [(one, made) for one, made in ready if one.name not in left]
    found = []
    try:
        for one, (changed, with_) in ready:
            found.append(work.diagnose(one.name, changed, with_, one.overrides, note, quiet=quiet, verbose=verbose))
    except Interrupted as stopped:
        note(stopped.advice)
        sys.exit(INTERRUPTED)
    beside = Path() if is_remote(resolved.recipe.out) else Path(resolved.recipe.out)
    place = out or beside / f"{name}-diagnosis.html"
    write_bytes(place, page(name, found, left, shlex.join(["polo", *sys.argv[1:]])).encode())
    _print(found, json=json, quiet=quiet)
    print(place, flush=True)


def _print(found: Sequence[Diagnosed], *, json: bool, quiet: bool) -> None:
    from polo.report.diagnosis import LEGEND, cells, columns

    if json:
        print_json([asdict(one) for one in found])
        return
    print_table(columns(found), [[cell.text for cell in cells(one)] for one in found])
    for word, meaning in () if quiet else LEGEND.items():
        note(f"{word}: {meaning}")
