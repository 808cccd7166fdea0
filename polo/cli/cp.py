"""``polo cp``: a shipped recipe as a file of one's own, byte for byte."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import NoPluginOption, PluginOption, open_plugins
from polo.cli.output import print_text
from polo.errors import InputError
from polo.run.opening import find_recipe


def cp(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A name from: polo ls recipes", show_default=False)],
    dest: Annotated[
        Path, typer.Argument(metavar="[DEST]", help="A file or a folder; this folder if not given.", show_default=False)
    ] = Path(),
    force: Annotated[bool, typer.Option("--force", help="Overwrite DEST.")] = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
) -> None:
    """Copy a recipe, comments and all, to change it."""
    source = find_recipe(name, open_plugins(plugin, no_plugin))
    if not source.is_file():
        raise InputError("is no recipe file", where=str(source), fix="see: polo ls recipes")
    target = dest
    try:
        target = dest / source.name if dest.is_dir() else dest
        if target.exists() and target.resolve() == source.resolve():
            raise InputError("source and destination are the same file", where=str(target))
        with target.open("wb" if force else "xb") as file:
            file.write(source.read_bytes())
    except FileExistsError:
        raise InputError("exists already", where=str(target), fix="choose another name, or --force") from None
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(target)) from None
    print_text(str(target))
