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
    open_recipe,
)
from polo.cli.output import note

ResumeOption = Annotated[
    Path | None,
    typer.Option(metavar="RUN", help="Go on in this run folder, from its newest checkpoint.", show_default=False),
]
ContinueOption = Annotated[
    bool, typer.Option("--continue", help="--resume with the newest unfinished run of this name.")
]
RetrainOption = Annotated[
    bool,
    typer.Option("--retrain", help="With --resume: train stages again that began with other data, code or base."),
]
ProcessesOption = Annotated[int, typer.Option(min=1, help="Processes on this machine that share each batch.")]
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
    retrain: RetrainOption = False,
    seeds: SeedsOption = None,
    jobs: JobsOption = 1,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Check everything and show the plan; train nothing.")
    ] = False,
    processes: ProcessesOption = 1,
    shard: ShardOption = False,
    quiet: QuietOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
) -> None:
    """Train and evaluate a recipe. The last line on stdout is the run's folder."""
    if seeds is not None:
        from polo.cli.seeds import Asked, run_seeds

        apart = {"--resume": resume, "--continue": continue_, "--retrain": retrain, "--dry-run": dry_run,
                 "--processes": processes > 1, "--shard": shard}  # fmt: skip
        run_seeds(Asked(recipe, tuple(overrides or ()), profile, quiet, tuple(plugin or ()), tuple(no_plugin or ()),
                        trust_plugins), seeds, jobs, [name for name, given in apart.items() if given])  # fmt: skip
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
    if processes > 1 and "LOCAL_RANK" not in os.environ:
        from polo.run.launch import launch

        with contextlib.redirect_stderr(io.StringIO()):  # remarks come from the first process
            opened()  # what is wrong is told here, and once
        # `-m` would import from the current folder, whatever lies there, which the command `polo` does not
        safe = [] if {"", str(Path.cwd())} & set(sys.path) else ["-P"]
        sys.exit(launch([sys.executable, *safe, "-m", "polo", *sys.argv[1:]], processes))
    resolved, plugins = opened()

    from polo.run.run import Run, named
    from polo.store.runfolder import RunFolder
    from polo.train.interrupt import Interrupted

    resolved = named(resolved)
    folder = None
    if resume is not None:
        folder = RunFolder.open(resume)
    elif continue_:
        folder = RunFolder.latest(Path(resolved.recipe.out), resolved.recipe.name)
    job = Run(resolved, plugins, folder, shard=shard, retrain=retrain, quiet=quiet)
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
