"""What several commands share: their options, and opening plugins and recipes with remarks on stderr."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated

import typer

from polo.cli import VERBOSE
from polo.cli.output import note
from polo.errors import InputError
from polo.plugin.load import Plugins, load_plugins
from polo.recipe.model import Resolved
from polo.run import opening

RecipeArgument = Annotated[
    str, typer.Argument(metavar="RECIPE", help="Path of a recipe, or a name from: polo ls recipes", show_default=False)
]
OverridesArgument = Annotated[
    list[str] | None,
    typer.Argument(metavar="[KEY.SUB=VALUE]...", help="Changes of the recipe.", show_default=False),
]
ProfileOption = Annotated[
    str,
    typer.Option(
        metavar="NAME", help="auto: 'cpu' without a GPU. none or gpu: the recipe as it stands. Else a profile's name."
    ),
]
PluginOption = Annotated[
    list[Path] | None,
    typer.Option("--plugin", metavar="FILE", help="Load a local plugin file (repeatable).", show_default=False),
]
NoPluginOption = Annotated[
    list[str] | None,
    typer.Option(
        "--no-plugin", metavar="NAME", help="Leave out a distribution or plugin (repeatable).", show_default=False
    ),
]
TrustOption = Annotated[
    bool,
    typer.Option(
        "--trust-plugins", help="Execute plugin files and programs that the recipe or the run names, whoever wrote it."
    ),
]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Say nothing but warnings and the results.")]


def _remember(context: typer.Context, value: bool) -> bool:
    context.meta[VERBOSE] = value
    return value


VerboseOption = Annotated[
    bool,
    typer.Option(
        "--verbose", "-v", callback=_remember,
        help="Say more: components, what caches had, how long each part took, and tracebacks of errors.",
    ),
]  # fmt: skip
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def not_both(*, quiet: bool, verbose: bool) -> None:
    """Raises InputError where two options ask for less and for more."""
    if quiet and verbose:
        raise InputError("says less and more", where="--quiet, --verbose", fix="leave one of them out")


def open_plugins(plugin: Iterable[Path] | None = None, no_plugin: Iterable[str] | None = None) -> Plugins:
    """All plugins, with local files and without blocked ones; the broken ones are listed, not raised."""
    return load_plugins(files=plugin or (), disable=no_plugin or ())


def open_recipe(
    recipe: str,
    overrides: Sequence[str] | None = None,
    profile: str = "auto",
    plugin: Iterable[Path] | None = None,
    no_plugin: Iterable[str] | None = None,
    *,
    trust_plugins: bool = False,
    started: bool = False,
    builds: bool = True,
    quiet: bool = False,
) -> tuple[Resolved, Plugins]:
    """A recipe ready for use and its plugins, see :func:`polo.run.opening.open_recipe`.

    ``quiet`` leaves its remarks out.
    """
    return opening.open_recipe(
        recipe, overrides, profile, plugin, no_plugin,
        say=(lambda line: None) if quiet else note, trust_plugins=trust_plugins, started=started, builds=builds,
    )  # fmt: skip
