"""``polo run``: the main command. Training and evaluation happen in ``polo.run.run``; this file only calls it."""

from __future__ import annotations

import contextlib
import functools
import io
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from polo.cli import INTERRUPTED
from polo.cli.common import (
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
from polo.cli.output import note
from polo.errors import InputError
from polo.run.opening import named

ResumeOption = Annotated[
    str | None,
    typer.Option(
        metavar="RUN", help="Go on in this run folder (or s3://...), from its newest checkpoint.", show_default=False
    ),
]
ContinueOption = Annotated[
    bool, typer.Option("--continue", help="--resume with the newest unfinished run of this name.")
]
IntoOption = Annotated[
    str | None,
    typer.Option(
        metavar="RUN", help="--resume with this folder if a run began there, else begin one there.", show_default=False
    ),
]
RetrainOption = Annotated[
    bool,
    typer.Option("--retrain", help="With --resume: train stages again that began with other data, code or base."),
]
ProcessesOption = Annotated[int, typer.Option(min=1, help="Processes on this machine that share each batch.")]
LauncherOption = Annotated[
    str | None,
    typer.Option(
        metavar="NAME",
        help="What starts the processes, see: polo ls launchers. With options: '{use: NAME, KEY: VALUE}'.",
        show_default=False,
    ),
]  # fmt: skip
ShardOption = Annotated[
    bool, typer.Option("--shard", help="Spread the weights over the processes too (FSDP2); same results, less memory.")
]
SeedsOption = Annotated[
    str | None,
    typer.Option(metavar="0..4", help="A run for each of these seeds (also 0,3,7), and the mean over them at the end. "
                 "Seeds that have ended already are found; the same command goes on after a stop.",
                 show_default=False),
]  # fmt: skip
JobsOption = Annotated[int, typer.Option(min=1, help="How many runs at once, each in a process of its own.")]


def run(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    profile: ProfileOption = "auto",
    resume: ResumeOption = None,
    continue_: ContinueOption = False,
    into: IntoOption = None,
    retrain: RetrainOption = False,
    seeds: SeedsOption = None,
    jobs: JobsOption = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the plan; train nothing.")
    ] = False,
    processes: ProcessesOption = 1,
    launcher: LauncherOption = None,
    shard: ShardOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Train and evaluate a recipe. The last line on stdout is the run's folder."""
    not_both(quiet=quiet, verbose=verbose)
    if seeds is not None:
        from polo.cli.seeds import Asked, run_seeds

        apart = {"--resume": resume, "--continue": continue_, "--retrain": retrain, "--dry-run": dry_run,
                 "--processes": processes > 1, "--shard": shard}  # fmt: skip
        asked = Asked(recipe, tuple(overrides or ()), profile, quiet, tuple(plugin or ()), tuple(no_plugin or ()),
                      trust_plugins, verbose)  # fmt: skip
        run_seeds(asked, seeds, jobs, [name for name, given in apart.items() if given])
        return
    opened = functools.partial(
        open_recipe,
        recipe,
        overrides,
        profile,
        plugin,
        no_plugin,
        trust_plugins=trust_plugins,
        started=True,
        quiet=quiet,
    )
    if into is not None and (resume is not None or continue_):
        raise InputError("a run goes on in one folder", where="--into", fix="drop it, or --resume and --continue")
    if (processes > 1 or launcher is not None) and "LOCAL_RANK" not in os.environ:
        from polo.run.compose import cache_dir
        from polo.run.launching import launched, launcher_of, placed

        with contextlib.redirect_stderr(io.StringIO()):  # remarks come from the first process
            resolved, plugins = opened()  # what is wrong is told here, and once
        chosen = launcher_of(launcher or "local", plugins.catalogue, cache_dir(), note)
        known = dry_run or continue_ or not (resume is None and into is None)
        place = None if known else placed(resolved.recipe.out, named(resolved).recipe.name)
        sys.exit(launched(chosen, sys.argv[1:], processes, place))
    resolved, plugins = opened()
    resolved = named(resolved)

    from polo.run.place import Place
    from polo.run.run import Run
    from polo.store.runfolder import RunFolder
    from polo.train.interrupt import Interrupted

    folder = RunFolder.latest(Path(resolved.recipe.out), resolved.recipe.name) if continue_ else None
    told = resume or into
    where = None if told is None else Place(told, begun=resume is not None)
    job = Run(resolved, plugins, folder, place=where, shard=shard, retrain=retrain, quiet=quiet, verbose=verbose)
    if dry_run:
        job.dry_run()
        return
    try:
        folder, results = job.execute()
    except Interrupted as stopped:
        note(stopped.advice)
        sys.exit(INTERRUPTED)
    if job.is_main:
        report(folder.path, results)


def report(folder: Path, results: dict[str, Any]) -> None:
    """The closing table, and the folder as the last line of stdout."""
    from polo.cli.results import print_results

    print_results(results)
    print(folder, flush=True)
