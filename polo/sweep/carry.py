"""A run of a recipe, whatever is there of it: taken if it has ended, gone on with if it has not, else begun.

Knows folders of runs and recipes. Many runs are stopped and started again by the same command because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from polo.errors import InputError
from polo.plugin.load import Plugins
from polo.recipe.model import Resolved
from polo.run.resumed import differs
from polo.run.run import Run
from polo.store.runfolder import RunFolder
from polo.store.shapes import Results, read


@dataclass(frozen=True)
class Done:
    """A run that has ended.

    Args:
        folder: of the run.
        results: all of ``results.json``.
        found: it had ended before.
    """

    folder: Path
    results: Mapping[str, Any]
    found: bool = False


def begun(resolved: Resolved) -> list[RunFolder]:
    """Runs of exactly this recipe in its ``out``, those that have ended first, then the newest first."""
    found = []
    for run in RunFolder.every(Path(resolved.recipe.out), resolved.recipe.name):
        try:
            if not differs(resolved, run):
                found.append(run)
        except InputError:  # a run that does not tell what it began with is none of these
            continue
    return sorted(found, key=lambda run: not run.ended)


def carry_out(
    resolved: Resolved, plugins: Plugins, say: Callable[[str], None], *, quiet: bool = False, verbose: bool = False
) -> Done:
    """The run of a recipe under its own name and seed.

    Args:
        resolved: the recipe, already under the name of its run (:func:`polo.run.run.named`).
        plugins: it was validated with.
        say: is told in a line what was found.
        quiet, verbose: the run says nothing but warnings, or more than usual.

    Raises:
        PoloError: as of a run.
    """
    for run in begun(resolved):
        job = Run(resolved, plugins, run, quiet=quiet, verbose=verbose)
        try:
            job.same()
        except InputError as error:
            say(f"{run.path.name} is left alone: {error.what}")
            continue
        if run.ended:
            results = read(run.path / "results.json", Results, fix="polo eval RUN writes it anew")
            say(f"{run.path.name} has ended already")
            return Done(run.path, results, found=True)
        say(f"going on in {run.path.name}")
        break
    else:
        job = Run(resolved, plugins, quiet=quiet, verbose=verbose)
    folder, results = job.execute()
    return Done(folder.path, results)
