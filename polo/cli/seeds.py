"""``polo run --seeds``: a run for each seed, and one table. The runs are found or made by ``polo.sweep``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from polo.cli import INTERRUPTED
from polo.cli.common import open_recipe
from polo.cli.output import note
from polo.errors import InputError

if TYPE_CHECKING:
    from polo.plugin.load import Plugins
    from polo.recipe.model import Resolved

AGAIN = "the same command goes on where it stopped"


@dataclass(frozen=True)
class Asked:
    """The recipe that a command line asks for, and how."""

    recipe: str
    overrides: tuple[str, ...]
    profile: str
    quiet: bool
    plugin: tuple[Path, ...]
    no_plugin: tuple[str, ...]
    trust_plugins: bool
    verbose: bool = False

    def open(self, *changes: str, quiet: bool = True) -> tuple[Resolved, Plugins]:
        """With further changes; later ones win."""
        return open_recipe(
            self.recipe, [*self.overrides, *changes], self.profile, self.plugin, self.no_plugin,
            trust_plugins=self.trust_plugins, started=True, quiet=self.quiet or quiet,
        )  # fmt: skip

    def words(self) -> list[str]:
        """What another process is asked with for the same."""
        plugins = [word for file in self.plugin for word in ("--plugin", str(file))]
        without = [word for name in self.no_plugin for word in ("--no-plugin", name)]
        given = {"--quiet": self.quiet, "--verbose": self.verbose, "--trust-plugins": self.trust_plugins}
        flags = [flag for flag, wanted in given.items() if wanted]
        return [self.recipe, *self.overrides, "--profile", self.profile, *plugins, *without, *flags]

    def refuse(self, path: str, option: str) -> None:
        """What an option gives must not be among the overrides.

        Raises:
            InputError: it is.
        """
        for word in self.overrides:
            if word.partition("=")[0].strip() == path:
                raise InputError(f"{option} and the override {word!r} say two things", fix="leave one of them out")


def run_seeds(asked: Asked, text: str, jobs: int, beside: Sequence[str]) -> None:
    """Runs every seed, prints the table over them, and the folders, a line each.

    Args:
        beside: options that were given too and mean nothing here.
    """
    from polo.sweep.seeds import seeds_of

    if beside:
        raise InputError(f"{', '.join(beside)}: not together with --seeds", where="--seeds",
                         fix="seeds that have ended are found and unfinished ones go on by themselves; a single run "
                         "takes these options")  # fmt: skip
    seeds = seeds_of(text)
    asked.refuse("seed", "--seeds")
    asked.open(f"seed={seeds[0]}", quiet=False)  # what is wrong, or was changed for want of a GPU, is told once
    folders = of_seeds(asked, seeds, jobs)

    from polo.cli.results import print_closing
    from polo.report.runs import open_run
    from polo.report.seeds import closing_of_seeds

    print_closing(closing_of_seeds([open_run(folder) for folder in folders]))
    for folder in folders:
        print(folder, flush=True)


def of_seeds(asked: Asked, seeds: Sequence[int], jobs: int) -> list[Path]:
    """The folder of each seed's run, found or made."""
    if jobs > 1 and len(seeds) > 1:
        from polo.sweep.jobs import Stopped, polo_words, side_by_side

        commands = {f"seed {seed}": polo_words(["run", *asked.words(), "--seeds", str(seed)]) for seed in seeds}
        try:
            said = side_by_side(commands, jobs, note)
        except Stopped:
            note(f"stopped; {AGAIN}")
            sys.exit(INTERRUPTED)
        return [Path(out.strip().splitlines()[-1]) for out in said.values()]

    from polo.run.opening import named
    from polo.sweep.carry import carry_out
    from polo.train.interrupt import Interrupted

    folders = []
    for seed in seeds:
        if len(seeds) > 1 and not asked.quiet:
            note(f"seed {seed}")
        resolved, plugins = asked.open(f"seed={seed}")
        try:
            folders.append(carry_out(named(resolved), plugins, note, quiet=asked.quiet, verbose=asked.verbose).folder)
        except Interrupted:
            note(f"stopped; {AGAIN}")
            sys.exit(INTERRUPTED)
    return folders
