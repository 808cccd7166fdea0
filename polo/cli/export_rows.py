"""``polo export-rows``: a run's rows and drawn negatives as preference data. The work is in ``polo.run.export``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import NoPluginOption, PluginOption, TrustOption, open_recipe
from polo.cli.output import note, print_text


def export_rows(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)],
    to: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Where files go; RUN/rows if not given.", show_default=False)
    ] = None,
    stage: Annotated[
        str | None, typer.Option(metavar="NAME", help="Whose training rows; the last stage's.", show_default=False)
    ] = None,
    epoch: Annotated[int, typer.Option(min=0, help="Whose draw of negatives, from 0.")] = 0,
    pairs: Annotated[bool, typer.Option("--pairs", help="One line for each negative, as TRL's trainers ask.")] = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Write the rows of a run as prompt, chosen and rejected, for TRL or for data: {use: preferences}."""
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(run)
    resolved, plugins = open_recipe(
        str(folder.path / "resolved.yaml"), (), "none", plugin, no_plugin, trust_plugins=trust_plugins
    )

    from polo.run.export import Asked, export_rows
    from polo.run.run import Run

    place = to or folder.path / "rows"
    last = list(resolved.recipe.stages)[-1]
    export_rows(Run(resolved, plugins), folder, Asked(stage or last, epoch, pairs), place, note)
    print_text(str(place))
