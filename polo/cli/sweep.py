"""``polo sweep``: settings of a recipe tried on validation, and the best one run. The work is in ``polo.sweep``."""

from __future__ import annotations

import shlex
import sys
from dataclasses import replace
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
)
from polo.cli.output import note, print_heading, print_json, print_table, print_text
from polo.cli.seeds import AGAIN, Asked, of_seeds
from polo.errors import InputError, PoloError

if TYPE_CHECKING:
    from polo.report.trials import Sweep
    from polo.sweep.study import Study

#: trials that the table shows
SHOWN = 20


def sweep(
    recipe: RecipeArgument,
    overrides: OverridesArgument = None,
    set_: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="PATH=VALUES", show_default=False,
                     help="What to choose (repeatable): PATH=log(1e-5,1e-3), uniform(0,1), int(1,8), or a,b,c."),
    ] = None,
    trials: Annotated[int, typer.Option(min=1, help="How many trials, those that were begun before among them.")] = 20,
    jobs: Annotated[int, typer.Option(min=1, help="How many trials at once, each in a process of its own.")] = 1,
    sampler: Annotated[str, typer.Option(metavar="NAME", help="How settings are chosen: tpe, random, grid.")] = "tpe",
    prune: Annotated[
        bool, typer.Option(help="Give up trials below the median of the others on validation, once five have ended.")
    ] = True,
    metric: Annotated[
        str, typer.Option(metavar="NAME", help="The metric that decides; the recipe's first if not given.")
    ] = "",
    seeds: Annotated[
        str | None, typer.Option(metavar="0..4", help="Seeds of the best one's run; the recipe's if not given.",
                                 show_default=False),
    ] = None,
    name: Annotated[
        str | None, typer.Option(metavar="NAME", help="Its folder beside the runs; RECIPE-sweep if not given.",
                                 show_default=False),
    ] = None,
    json: JsonOption = False,
    profile: ProfileOption = "auto",
    quiet: QuietOption = False,
    plugin: PluginOption = None,
    no_plugin: NoPluginOption = None,
    trust_plugins: TrustOption = False,
    worker: Annotated[bool, typer.Option("--worker", hidden=True)] = False,
) -> None:  # fmt: skip
    """Try settings of a recipe on its validation split, then run the best as the recipe says.

    Trials are ordinary runs; the test split is read by the best one's run alone. The same command after a stop or a
    kill goes on. The last line on stdout is the folder of the best run (a line for each seed).
    """
    from polo.sweep.seeds import seeds_of
    from polo.sweep.space import grid, space_of
    from polo.sweep.study import SAMPLERS, have_optuna

    asked = Asked(recipe, tuple(overrides or ()), profile, quiet, tuple(plugin or ()), tuple(no_plugin or ()),
                  trust_plugins)  # fmt: skip
    words = tuple(set_ or ())
    space = space_of(words)
    if sampler not in SAMPLERS:
        raise InputError(f"no sampler is called {sampler!r}", where="--sampler", fix=f"one of: {', '.join(SAMPLERS)}")
    if sampler == "grid":
        grid(space)
    for one in space:
        asked.refuse(one.path, "--set")
    if seeds is not None:
        asked.refuse("seed", "--seeds")
    chosen = None if seeds is None else seeds_of(seeds)
    have_optuna()
    resolved, _ = asked.open(quiet=worker)
    for one in space:
        for end in one.ends():
            asked.open(end)  # a choice that the recipe does not take is told here, with its place

    from polo.run.opening import named
    from polo.run.run import Run
    from polo.sweep.study import Plan, Study
    from polo.sweep.tries import VALIDATION, work
    from polo.train.interrupt import Interrupted

    recipe_ = named(resolved).recipe
    folder = Path(recipe_.out).absolute() / (name or f"{recipe_.name}-sweep")
    if not worker:
        trial, with_ = asked.open(*VALIDATION)
        Run(named(trial), with_, quiet=True).prepare()  # what can be refused is refused before the first trial
    plan = Plan(words, sampler, resolved.recipe.seed, prune, resolved.tree)
    study = Study(folder, plan, space)
    try:
        if jobs > 1 and not worker:
            _side_by_side(asked, words, trials, jobs, study, metric, prune=prune)
        else:
            work(study, asked.open, trials, metric, (lambda line: None) if quiet else note)
    except (Interrupted, KeyboardInterrupt):
        note(f"stopped; {AGAIN}")
        sys.exit(INTERRUPTED)
    if worker:
        return
    _close(asked, study, chosen or [resolved.recipe.seed], json=json)


def _side_by_side(
    asked: Asked, words: tuple[str, ...], trials: int, jobs: int, study: Study, metric: str, *, prune: bool
) -> None:
    """Workers that share the trials; what they say is said here."""
    from polo.sweep.jobs import Stopped, polo_words, side_by_side

    given = [
        "sweep", *asked.words(), *(word for one in words for word in ("--set", one)), "--trials", str(trials),
        "--sampler", study.plan.sampler, "--prune" if prune else "--no-prune", "--name", study.folder.name, "--worker",
    ]  # fmt: skip
    command = polo_words([*given, *(["--metric", metric] if metric else [])])
    try:
        side_by_side({f"worker {n}": command for n in range(jobs)}, jobs, lambda line: None, show=True)
    except Stopped:
        raise KeyboardInterrupt from None


def _close(asked: Asked, study: Study, seeds: list[int], *, json: bool) -> None:
    """The best one's run, the tables, the page."""
    from polo.report.budget import write_tuning
    from polo.report.sweep import page
    from polo.store.files import write_bytes

    facts = study.facts()
    best = facts.best
    if best is None:
        why = next((one.error for one in facts.trials if one.error), "no trial has ended")
        raise PoloError(f"no trial of {len(facts.trials)} has a value: {why}", where=str(study.folder),
                        fix="change the settings and give the sweep another --name")  # fmt: skip
    if facts.counts().get("running"):
        raise PoloError("another process still works on trials of this sweep", where=str(study.folder),
                        fix="wait for it, then give the same command again")  # fmt: skip
    if not json:
        _print(facts)
    again = replace(asked, overrides=(*asked.overrides, *best.overrides))
    folders = of_seeds(again, seeds, 1)
    for folder in folders:
        write_tuning(folder, facts.tuning())
    place = study.folder / "report.html"
    write_bytes(place, page(facts, shlex.join(["polo", *sys.argv[1:]])).encode())

    from polo.cli.results import print_closing
    from polo.report.runs import open_run
    from polo.report.seeds import closing_of_seeds

    if json:
        print_json({**facts.plain(), "page": str(place), "runs": [str(folder) for folder in folders]})
        return
    print_closing(closing_of_seeds([open_run(folder) for folder in folders]))
    print_text(f"page: {place}", "dim")
    print_text(f"the best of {facts.name}: {shlex.join(best.overrides)}", "dim")
    for folder in folders:
        print(folder, flush=True)


def _print(facts: Sweep) -> None:
    from polo.report.budget import Budget

    counts = ", ".join(f"{count} {state}" for state, count in facts.counts().items())
    print_heading(f"{facts.name}: {counts}; {facts.metric} on validation")
    paths = list(facts.trials[0].settings)
    rows = []
    for one in facts.ranked()[:SHOWN]:
        value = one.state if one.value is None else f"{one.value:.4f}"
        rows.append([str(one.number), value, *(one.settings.get(path, "") for path in paths)])
    print_table(["trial", facts.metric, *paths], rows)
    if len(facts.trials) > SHOWN:
        print_text(f"and {len(facts.trials) - SHOWN} more", "dim")
    print_text(f"budget: {Budget(len(facts.trials), facts.cpu_seconds()).words()}", "dim")
