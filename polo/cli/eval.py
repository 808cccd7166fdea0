"""``polo eval``: scores a finished run again, perhaps in another way, and writes its results anew."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import (
    NoPluginOption,
    OverridesArgument,
    PluginOption,
    QuietOption,
    TrustOption,
    VerboseOption,
    not_both,
    open_recipe,
)


def evaluate(
    run: Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a finished run.", show_default=False)],
    overrides: OverridesArgument = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Evaluate a run again, for example with: evaluate.split=valid evaluate.rows=1000."""
    not_both(quiet=quiet, verbose=verbose)
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(run)
    resolved, plugins = open_recipe(
        str(folder.path / "resolved.yaml"),
        overrides,
        "none",
        plugin,
        no_plugin,
        trust_plugins=trust_plugins,
        quiet=quiet,
    )

    from polo.cli.run import report
    from polo.run.run import Run

    job = Run(resolved, plugins, quiet=quiet, verbose=verbose)
    results = job.evaluate_again(folder)
    if job.is_main:
        report(folder.path, results)
