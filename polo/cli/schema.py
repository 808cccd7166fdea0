"""``polo schema``: JSON Schema of a recipe, for editors."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import NoPluginOption, PluginOption, open_plugins
from polo.cli.output import print_text
from polo.errors import InputError


def schema(
    output: Annotated[
        Path | None, typer.Option("--output", "-o", metavar="FILE", help="Write it there instead.", show_default=False)
    ] = None,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
) -> None:
    """Print the JSON Schema of a recipe with all installed components.

    In a recipe, the line "# yaml-language-server: $schema=FILE" makes editors use it.
    """
    from polo.recipe.schema import recipe_schema

    text = json.dumps(recipe_schema(open_plugins(plugin, no_plugin).catalogue), indent=2, ensure_ascii=False) + "\n"
    if output is None:
        print(text, end="")
        return
    try:
        output.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(f"cannot be written: {error.strerror}", where=str(output)) from None
    print_text(str(output))
