"""Whose code may run: which files that a recipe or a run brings are executed, and which are asked about first.

Knows paths and hashes; executes nothing. The user's word is a file given with ``--plugin``, an override, a recipe that
``polo run`` starts and that is no part of a run folder, or ``--trust-plugins``. Whatever else a recipe or a run folder
names may come from a stranger.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from polo.errors import Problem

#: the file that makes a folder that of a run
MARK = "resolved.yaml"
_ASK = "if you know what it does: --trust-plugins executes it; or give the same file yourself: --plugin FILE"


@dataclass(frozen=True)
class Kept:
    """A plugin file as a run remembers it: where it was, and the sha256 of its bytes."""

    file: Path
    sha256: str


@dataclass(frozen=True, kw_only=True)
class Trust:
    """What may be executed of that which one recipe names.

    Args:
        started: the user starts this recipe; what it names is the user's own word, unless it lies in a run folder.
        granted: ``--trust-plugins``.
        builds: programs that options name will be started; where nothing is built there is nothing to ask.
        run: the run folder that the recipe is part of, if it is part of one.
        kept: the plugin files that this run began with.
        without: files that are left out (``--no-plugin``), by their stems.
    """

    started: bool = False
    granted: bool = False
    builds: bool = True
    run: Path | None = None
    kept: tuple[Kept, ...] = ()
    without: frozenset[str] = frozenset()

    def own(self, where: str, folder: Path | None) -> bool:
        """Whether a value is the user's own word.

        Args:
            where: its place, as in error messages.
            folder: of the file that it stands in.
        """
        if self.granted or where.startswith("override"):
            return True
        return self.started and self.run is None and folder is not None and run_folder_of(folder) is None

    def files(self, given: Sequence[Path]) -> tuple[list[Path], list[Problem]]:
        """Files to load of those that the run began with, and what stands in the way.

        Args:
            given: files that the user names with ``--plugin``; one with the hash of a kept file stands for it.
        """
        hashes = {file: digest(file) for file in given}
        load, problems = [], []
        for kept in self.kept:
            if kept.file.stem in self.without or kept.sha256 in hashes.values():
                continue
            same = [file for file in given if file.name == kept.file.name]
            now = hashes[same[0]] if same else digest(kept.file)
            if same or (self.granted and now is not None and now != kept.sha256):
                problems.append(self._other(same[0] if same else kept.file, kept, now))
            elif not self.granted:
                problems.append(Problem(str(self.run), unasked(kept.file, kept.sha256), _ASK))
            else:
                load.append(kept.file)
        return load, problems

    def remembered(self, file: Path) -> str | None:
        """The sha256 that the run has of a file."""
        return next((kept.sha256 for kept in self.kept if kept.file == file), None)

    def _other(self, file: Path, kept: Kept, now: str | None) -> Problem:
        return Problem(
            str(self.run),
            f"plugin file {file} is not the one that this run began with: sha256 {kept.sha256} then, {now} now",
            f"bring that file back, or leave it out with --no-plugin {kept.file.stem} and call yours by another name",
        )


def unasked(file: Path, sha256: str | None) -> str:
    """The sentence about a file that nobody asked to execute."""
    known = f"sha256 {sha256}" if sha256 else "there is no such file here"
    return f"plugin file {file} ({known}) is code, which is not executed unless you say so"


def unasked_file(where: str, file: Path, sha256: str | None) -> Problem:
    """The same for a file that a recipe names at ``where``."""
    return Problem(where, f"plugins: {unasked(file, sha256)}", _ASK)


def unasked_program(where: str, option: str, value: object) -> Problem:
    """The same for a program that an option names."""
    return Problem(
        where,
        f"{option}: {str(value)!r} is a program, which is not executed unless you say so",
        f"if you know what it is: --trust-plugins executes it; or name it yourself: {option}=PROGRAM",
    )


def digest(file: Path) -> str | None:
    """Hex sha256 of a file's bytes; ``None`` where it cannot be read."""
    try:
        return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
    except (OSError, ValueError):
        return None


def run_folder_of(path: Path) -> Path | None:
    """The run folder that a path is in or is, whichever way links lead there; ``None`` if there is none."""
    found: Iterable[Path] = (p for start in (path.absolute(), path.resolve()) for p in (start, *start.parents))
    return next((folder for folder in found if (folder / MARK).is_file()), None)
