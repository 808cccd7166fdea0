"""Folders that a scorer works in, below the cache: one for the job, one for the model. Knows locks and leftovers."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from polo import PoloError


@contextlib.contextmanager
def temporary_model(root: Path) -> Iterator[Path]:
    """A folder for model files, removed when the block ends, however it ends; what killed ones left goes too."""
    root.mkdir(parents=True, exist_ok=True)
    for left in root.glob("model-*-*"):
        if not _alive(left.name.split("-")[1]):
            shutil.rmtree(left, ignore_errors=True)
    place = Path(tempfile.mkdtemp(prefix=f"model-{os.getpid()}-", dir=root))
    try:
        yield place
    except OSError as error:
        raise PoloError(
            f"a file cannot be written or read: {error}", where=str(root), fix="free some space, or set POLO_CACHE"
        ) from error
    finally:
        shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def job_folder(root: Path, key: str) -> Iterator[Path]:
    """The folder of job ``key``; a second process with the same job at the same time gets one of its own.

    Stays when the block raises, so that a second start goes on with its parts; is removed when the block ends well.
    """
    root.mkdir(parents=True, exist_ok=True)
    with (root / f"{key}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            place = root / key
        except BlockingIOError:
            place = root / f"{key}-{os.getpid()}"
        place.mkdir(exist_ok=True)
        yield place
        shutil.rmtree(place, ignore_errors=True)
        if place.name == key:
            (root / f"{key}.lock").unlink(missing_ok=True)


def _alive(pid: str) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        return True
    return True
