"""The folder of a run: what lies where, and how it is made. Knows names of files, not how their content is computed."""

from __future__ import annotations

import fcntl
import json
import os
import re
import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from polo.errors import InputError
from polo.plugin.trust import Kept
from polo.store.files import TEMPORARY, cannot_write, damage, sweep, write_bytes
from polo.store.mirror import Mirror
from polo.store.shapes import parsed

#: what stands behind the name of a recipe in that of a run: its stamp, and a number where two have one stamp
_STAMP = re.compile(r"^(\d{8}-\d{6})(?:-(\d+))?$")

#: a line for each step and each measurement; a stage that is kept for other runs has its own lines beside it
LOG: Final = "metrics.jsonl"


#: what a run writes before it can be gone on with, and writes again if it begins again
_FIRST: Final = frozenset({".lock", "base", "cost.json", "provenance.json", "recipe.yaml"})


class RunFolder:
    """Paths of a run and its metric log.

    Layout: ``recipe.yaml`` as given, ``resolved.yaml``, ``provenance.json``, ``metrics.jsonl``, ``checkpoints/``,
    ``fingerprints.json`` (what each stage is made from), ``stages/NAME/`` (weights at its end), ``base/`` (a base that
    was made), ``final/``, ``eval/``, ``cost.json`` (what each part cost), ``results.json``.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        #: where else the run is kept
        self.mirror: Mirror | None = None
        self._lock: int | None = None

    @classmethod
    def create(cls, out: Path, name: str) -> RunFolder:
        """A new folder ``out/NAME-STAMP``; two runs that start in one second get two folders."""
        called = stamped(name)
        for attempt in range(1, 1000):
            path = out / (called if attempt == 1 else f"{called}-{attempt}")
            try:
                path.mkdir(parents=True, exist_ok=False)
            except FileExistsError:
                continue
            except OSError as error:
                raise _no_folder(path, error) from error
            try:
                for room in cls(path).rooms:
                    room.mkdir()
            except OSError as error:
                shutil.rmtree(path, ignore_errors=True)
                raise _no_folder(path, error) from error
            return cls(path.resolve())
        raise InputError("a thousand runs of this name started in this second", where=str(out))

    @classmethod
    def at(cls, path: Path) -> RunFolder:
        """A new run in this very folder, which may be there already if nothing is in it.

        Raises:
            InputError: it is something else, or cannot be made.
        """
        folder = cls(path.resolve())
        try:
            for room in folder.rooms:
                room.mkdir(parents=True, exist_ok=True)
            inside = [one for room in folder.rooms for one in room.iterdir()]
            beside = [one for one in folder.path.iterdir() if one not in folder.rooms and one.name not in _FIRST]
            found = [one.name for one in (*inside, *beside) if not one.name.startswith(TEMPORARY)]
        except OSError as error:
            raise _no_folder(path, error) from error
        if found:
            raise InputError(
                f"a run cannot begin in this folder, which holds other files ({min(found)})",
                where=str(path),
                fix="name a new folder, or one of a run that has begun",
            )
        return folder

    @classmethod
    def open(cls, path: Path) -> RunFolder:
        """An existing run."""
        if not cls(path).begun:
            raise InputError("this is not the folder of a run (it has no resolved.yaml)", where=str(path),
                             fix="`polo ls runs` lists the runs here")  # fmt: skip
        return cls(path.resolve())

    @classmethod
    def every(cls, out: Path, name: str) -> list[RunFolder]:
        """All runs of a recipe's name, the newest first."""
        found = [
            (stamp, int(attempt or 1), path)
            for path in out.glob("*-*")
            for stamp, attempt in _STAMP.findall(path.name.removeprefix(f"{name}-"))
            if path.name.startswith(f"{name}-") and (path / "resolved.yaml").is_file()
        ]
        return [cls.open(path) for _, _, path in sorted(found, reverse=True)]

    @classmethod
    def latest(cls, out: Path, name: str) -> RunFolder:
        """The newest run of a recipe that has not ended."""
        for run in cls.every(out, name):
            if not run.ended:
                return run
        raise InputError(f"no unfinished run of '{name}'", where=str(out), fix="give the folder: --resume RUN")

    @property
    def ended(self) -> bool:
        """Whether there are results."""
        return (self.path / "results.json").is_file()

    def claim(self) -> None:
        """Keeps other processes from going on in this folder until :meth:`release` or the end of this process,
        however it ends; removes what a killed one left half-written.

        Raises:
            InputError: another process runs in it.
        """
        try:
            handle = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o644)
        except OSError as error:
            raise cannot_write(self.path / ".lock", error) from error
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(handle)
            raise InputError(
                "another process runs in this folder",
                where=str(self.path),
                fix="wait for it or stop it; without --resume a run gets a folder of its own",
            ) from error
        except OSError:  # a file system without locks
            os.close(handle)
            return
        self._lock = handle
        for place in (self.path, self.checkpoints, self.path / "stages", *self.path.glob("eval*")):
            sweep(place)

    @property
    def called(self) -> str:
        """What ``--resume`` takes to go on in this run."""
        return str(self.path) if self.mirror is None else self.mirror.url

    def publish(self) -> bool:
        """Something whole was written: copies it to wherever else the run is kept; whether it arrived."""
        return self.mirror is None or self.mirror.push()

    def release(self) -> None:
        """Ends what :meth:`claim` began."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def rooms(self) -> tuple[Path, ...]:
        """The folders inside that every run has."""
        return self.checkpoints, self.path / "stages", self.path / "eval"

    @property
    def begun(self) -> bool:
        """Whether a run began here, so that it can go on."""
        return (self.path / "resolved.yaml").is_file()

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    def evaluation_under(self, protocol: str) -> tuple[Path, Path]:
        """Where scores and results of an evaluation go: the run's own protocol has ``eval/`` and ``results.json``.

        An evaluation under another protocol (``polo eval`` with changes) gets a folder of its own.
        """
        told = read_facts(self.path / "provenance.json").get("protocol")
        own = told.get("hash", protocol) if isinstance(told, dict) else protocol
        place = self.path / ("eval" if protocol == own else f"eval-{protocol}")
        try:
            place.mkdir(exist_ok=True)
        except OSError as error:
            raise cannot_write(place, error) from error
        return place, (self.path if protocol == own else place) / "results.json"

    @property
    def final(self) -> Path:
        return self.path / "final"

    @property
    def base(self) -> Path:
        """Where a base is kept that nobody could have by name."""
        return self.path / "base"

    def stage(self, name: str) -> Path:
        return self.path / "stages" / name

    def intact(self, weights: Path) -> None:
        """Refuses weights of this run that are not what it wrote.

        Raises:
            InputError: a file is missing, or another than the manifest says.
        """
        if fault := damage(weights):
            raise InputError(f"weights are damaged: {fault}", where=str(self.path),
                             fix="polo run RECIPE --resume RUN makes them again; or restore the file")  # fmt: skip

    def log(self, line: Mapping[str, Any]) -> None:
        """Appends one line to ``metrics.jsonl``."""
        try:
            how = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW  # a link may lead out of the folder
            with os.fdopen(os.open(self.path / LOG, how, 0o644), "a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
        except OSError as error:
            raise cannot_write(self.path / LOG, error) from error

    def metrics(self) -> list[dict[str, Any]]:
        """All metric lines; see :func:`read_log`."""
        return read_log(self.path / LOG)

    def rewind(self, stage: str, step: int) -> None:
        """Forgets what was logged of ``stage`` after a checkpoint at ``step`` (-1: all)."""

        def stays(line: Mapping[str, Any]) -> bool:
            if line.get("stage") != stage:
                return True
            return bool(line["step"] < step or (line["step"] == step and "loss" not in line))

        path = self.path / LOG
        kept = "".join(json.dumps(line) + "\n" for line in self.metrics() if stays(line)).encode()
        # compared as bytes: half a line that a crash left must go too, or the next line would be glued to it
        if path.is_file() and kept != path.read_bytes():
            write_bytes(path, kept)


def stamped(name: str) -> str:
    """What a run of a recipe of this name that begins now is called."""
    return f"{name}-{datetime.now(UTC).strftime('%Y%m%d-%H%M%S')}"


def read_log(path: Path) -> list[dict[str, Any]]:
    """The metric lines of a file; what is none, such as a last line that a crash cut short, is left out."""
    try:
        lines = path.read_text("utf-8", errors="replace").split("\n")
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            value = parsed(line)
        except ValueError:
            continue
        if isinstance(value, dict) and isinstance(value.get("stage"), str) and type(value.get("step")) is int:
            found.append(value)
    return found


def kept_plugins(run: Path) -> tuple[Kept, ...]:
    """The local plugin files that a run began with; those of which it does not tell path and hash are unknown."""
    facts = read_facts(run / "provenance.json")
    told = facts.get("plugins")
    return tuple(
        Kept(Path(one["file"]), one["sha256"])
        for one in (told if isinstance(told, list) else ())
        if isinstance(one, dict) and isinstance(one.get("file"), str) and isinstance(one.get("sha256"), str)
        if one.get("status") == "ok"
    )


def read_facts(path: Path) -> dict[str, Any]:
    """A mapping from a JSON file of a run; empty where there is none to be had."""
    try:
        found = parsed(path.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def base_beside(run: Path | None) -> Path | None:
    """The base that the run in a folder keeps, if it keeps one."""
    return None if run is None or not RunFolder(run).base.is_dir() else RunFolder(run).base


def _no_folder(path: Path, error: OSError) -> InputError:
    return InputError(
        f"cannot make a run folder: {error.strerror}", where=str(path), fix="choose another place with out=FOLDER"
    )
