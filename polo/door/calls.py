"""``polo.run``, ``load``, ``evaluate`` and ``recommend``: what the commands of these names do, for Python.

The same errors as on the command line, raised instead of printed; nothing here ends the process. Loads no torch before
something is computed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from polo.console import Console
from polo.door.result import Result
from polo.errors import InputError
from polo.recipe.dump import flow
from polo.run.opening import open_recipe

#: changes of a recipe: dotted path -> value, where the command line has ``path=value``
Overrides = Mapping[str, Any]


def run(
    recipe: str | Path,
    overrides: Overrides | None = None,
    *,
    profile: str = "auto",
    resume: str | Path | None = None,
    retrain: bool = False,
    plugins: Iterable[str | Path] = (),
    trust_plugins: bool = False,
    quiet: bool = False,
) -> Result:
    """Trains and evaluates a recipe, as ``polo run`` does.

    Args:
        recipe: path of a recipe, or a name from ``polo ls recipes``.
        overrides: dotted path -> value, such as ``{"stages.prefer.loss": "sdpo", "seed": 3}``.
        profile: ``auto``: 'cpu' without a GPU. ``none`` or ``gpu``: the recipe as it stands. Else a profile's name.
        resume: a run folder to go on in, from its newest checkpoint.
        retrain: with ``resume``: train stages again that began with other data, code or base.
        plugins: local plugin files to load.
        trust_plugins: execute plugin files and programs that the recipe names, whoever wrote it.
        quiet: say nothing but warnings.

    Raises:
        PoloError: what the command line would say; ``str(error)`` says where and what to do.
        KeyboardInterrupt: it was stopped; the checkpoint is written, and the note on the exception says how to go on.

    Example::

        result = polo.run("quickstart", {"stages.prefer.loss": "sdpo", "seed": 3})
        result                      # the closing table
        result.metrics["model"]["hit_ratio@1"]
    """
    resolved, found = _open(recipe, overrides, profile, plugins, quiet, trust_plugins=trust_plugins, started=True)

    from polo.run.opening import named
    from polo.run.run import Run
    from polo.store.runfolder import RunFolder
    from polo.train.interrupt import Interrupted

    folder = None if resume is None else RunFolder.open(Path(resume))
    job = Run(named(resolved), found, folder, retrain=retrain, quiet=quiet)
    try:
        folder, results = job.execute()
    except Interrupted as stopped:
        stop = KeyboardInterrupt(stopped.advice)
        raise stop from None
    return Result(folder.path, results, plugins=[Path(file) for file in plugins], trusted=trust_plugins, quiet=quiet)


def load(
    run: str | Path, *, plugins: Iterable[str | Path] = (), trust_plugins: bool = False, quiet: bool = False
) -> Result:
    """A finished run, from its folder; the model is loaded when it is asked for.

    Args:
        run: folder of the run.
        plugins, trust_plugins, quiet: as of :func:`run`, for what uses the model.

    Raises:
        InputError: it is no folder of a finished run.
    """
    from polo.store.runfolder import RunFolder
    from polo.store.shapes import Results, read

    folder = RunFolder.open(Path(run)).path
    if not (folder / "results.json").is_file():
        raise InputError("this run has not ended", where=str(folder), fix="polo.run(RECIPE, resume=RUN) goes on")
    results = read(folder / "results.json", Results, fix="polo.evaluate(RUN) writes it anew")
    return Result(folder, results, plugins=[Path(file) for file in plugins], trusted=trust_plugins, quiet=quiet)


def evaluate(
    run: Result | str | Path,
    overrides: Overrides | None = None,
    *,
    plugins: Iterable[str | Path] = (),
    trust_plugins: bool = False,
    quiet: bool = False,
) -> Result:
    """Evaluates a run again, as ``polo eval`` does, for example with ``{"evaluate.split": "valid"}``.

    Args:
        run: folder of a finished run, or a result.
        overrides, plugins, trust_plugins, quiet: as of :func:`run`.

    Raises:
        PoloError: what the command line would say.
    """
    from polo.store.runfolder import RunFolder

    folder = RunFolder.open(_folder(run))
    files = [Path(file) for file in plugins]
    resolved, found = _open(folder.path / "resolved.yaml", overrides, "none", files, quiet, trust_plugins=trust_plugins)

    from polo.run.run import Run

    results = Run(resolved, found, quiet=quiet).evaluate_again(folder)
    return Result(folder.path, results, plugins=files, trusted=trust_plugins, quiet=quiet)


def recommend(
    run: Result | str | Path,
    history: Sequence[str],
    *,
    top: int = 10,
    candidates: Sequence[str] | None = None,
    quiet: bool = False,
) -> list[dict[str, Any]]:
    """The best titles after a history, as ``polo recommend`` finds them.

    Args:
        run: folder of a finished run, or a result; a result keeps its model, so that the next question is quick.
        history: titles, oldest first; they may be misspelt a little.
        top: how many.
        candidates: titles to choose from; the whole catalogue without the history if not given.
        quiet: say nothing of titles that were guessed.

    Returns:
        For each place ``rank``, ``title``, ``probability`` (or ``score``) and ``proven``; pandas takes it as it is.

    Raises:
        PoloError: what the command line would say.
    """
    result = run if isinstance(run, Result) else load(run, quiet=quiet)
    return result.recommend(history, top=top, candidates=candidates)


def words(overrides: Overrides | None) -> list[str]:
    """Changes as the command line writes them.

    Example:
        >>> words({"stages.prefer.loss": "sdpo", "seed": 3, "name": "no", "data": {"use": "rows", "path": None}})
        ['stages.prefer.loss=sdpo', 'seed=3', 'name=no', 'data={use: rows, path: null}']
    """
    if overrides is not None and not isinstance(overrides, Mapping):
        raise InputError(f"overrides are a mapping of dotted paths, not {type(overrides).__name__}",
                         fix='write {"seed": 3}')  # fmt: skip
    return [f"{key}={flow(_plain(value))}" for key, value in (overrides or {}).items()]


def _plain(value: Any) -> Any:
    """Paths as text, tuples as lists, numbers of numpy as Python's; the rest is for the recipe's own checks."""
    if isinstance(value, Mapping):
        return {str(key): _plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, Path):
        return str(value)
    if value is None or isinstance(value, str | int | float):
        return value
    raise InputError(f"{value!r} cannot stand in a recipe", fix="use numbers, texts, lists and mappings")


def _folder(run: Result | str | Path) -> Path:
    return run.folder if isinstance(run, Result) else Path(run)


def _open(
    recipe: str | Path,
    overrides: Overrides | None,
    profile: str,
    plugins: Iterable[str | Path],
    quiet: bool,
    *,
    trust_plugins: bool,
    started: bool = False,
) -> Any:
    return open_recipe(
        str(recipe), words(overrides), profile, [Path(file) for file in plugins],
        say=Console(quiet=quiet).say, trust_plugins=trust_plugins, started=started,
    )  # fmt: skip
