"""From ``--launcher`` to the end of all processes. Knows how a launcher is named and what it is given to run.

A launched run has its folder before its processes begin (``--into``), so that a second start of the same words goes on
in it. Loads no torch.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from polo.context import Choice, Context
from polo.errors import InputError, RecipeError
from polo.plugin.catalogue import Catalogue
from polo.plugin.component import Ref
from polo.protocols import Launcher, Work
from polo.recipe.options import Validation
from polo.recipe.reader import parse
from polo.store.mirror import is_remote
from polo.store.runfolder import RunFolder, stamped

#: as an error calls it
OPTION = "--launcher"


def launcher_of(text: str, catalogue: Catalogue, cache: Path, say: Callable[[str], None]) -> Launcher:
    """The launcher that a user names.

    Args:
        text: ``NAME``, or ``{use: NAME, OPTION: VALUE}`` as in a recipe.
        catalogue: what is installed.
        cache: where files that can be made again are kept.
        say: is told a line for the user.

    Raises:
        InputError: there is none of this name, or its options are wrong.
    """
    walk = Validation(catalogue)
    choice = walk.value(Ref["launcher"], parse(text, OPTION, Path.cwd(), fixed=OPTION), ())
    if walk.problems:
        raise RecipeError(walk.problems)

    def refuse(inner: Choice) -> Any:
        raise InputError(f"a launcher is made of no {inner.kind}", where=OPTION)

    made: Launcher = catalogue.find("launcher", choice.qualified).load_build()(
        choice.options, Context(seed=0, cache=cache, build=refuse, say=say)
    )
    return made


def launched(
    launcher: Launcher,
    arguments: Sequence[str],
    processes: int,
    place: contextlib.AbstractContextManager[Path | str] | None,
) -> int:
    """Runs ``polo`` with ``arguments`` in many processes; returns the exit code.

    Args:
        launcher: starts them.
        arguments: words after ``polo``.
        processes: how many.
        place: gives the run a folder; ``None`` where the arguments say in which folder to go on.
    """
    # `-m` would import from the current folder, whatever lies there, which the command `polo` does not
    safe = [] if {"", str(Path.cwd())} & set(sys.path) else ["-P"]
    words = [sys.executable, *safe, "-m", "polo", *arguments]
    with place or contextlib.nullcontext() as folder:
        into = [] if folder is None else ["--into", str(folder)]
        return launcher.launch(Work(words=(*words, *into), processes=processes))


def placed(out: str, name: str) -> contextlib.AbstractContextManager[Path | str]:
    """Where a new run of this name goes: a folder that is there already, or a URL."""
    return contextlib.nullcontext(f"{out.rstrip('/')}/{stamped(name)}") if is_remote(out) else reserved(Path(out), name)


@contextlib.contextmanager
def reserved(out: Path, name: str) -> Iterator[Path]:
    """A folder for a run of this name, which is taken back at the end if nothing was written to it."""
    made = [path for path in (out, *out.parents) if not path.exists()]
    folder = RunFolder.create(out, name)
    try:
        yield folder.path
    finally:
        for place in (*folder.rooms, folder.path, *made):
            with contextlib.suppress(OSError):
                place.rmdir()
