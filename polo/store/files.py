"""Files that are either whole or not there. Knows bytes and folders, not what is in them.

Everything is written under a temporary name beside its place, flushed to disk, and renamed; a reader never sees half a
file and a crash leaves at most a name that starts with ``.tmp-`` (:func:`sweep` removes those).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from safetensors import SafetensorError

from polo.errors import PoloError

MANIFEST = "manifest.json"
TEMPORARY = ".tmp-"


def write_bytes(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path``, whole or not at all."""
    with whole_file(path) as temporary, temporary.open("wb") as file:
        file.write(data)


@contextlib.contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A name to write to; what was written appears at ``path``, flushed to disk, when the block ends well."""
    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        _flush(temporary)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def beside(path: Path, word: str = "") -> Path:
    """A new temporary name in the folder of ``path``."""
    return path.with_name(f"{TEMPORARY}{uuid.uuid4().hex[:8]}-{word}{path.name}")


def _flush(path: Path) -> None:
    """Waits until a file's content, or a folder's list of names, is on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def cannot_write(path: Path, error: Exception) -> PoloError:
    """The error for a disk that is full or read-only."""
    return PoloError(
        f"cannot write: {getattr(error, 'strerror', None) or error}",
        where=str(path),
        fix="free some space, or choose another place: out=FOLDER for runs, POLO_CACHE=FOLDER for the cache",
    )


def sha256(path: Path) -> str:
    """Hex sha256 of a file's content."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def whole_folder(path: Path, *, manifest: bool = True, replace: bool = True) -> Iterator[Path]:
    """A folder that appears under its name when the block ends, complete. If the block raises, nothing is left behind.

    Args:
        path: where it appears.
        manifest: with a manifest of its files' hashes, for :func:`damage`.
        replace: whatever stood at ``path`` is replaced, also when another process puts it there at this moment; else a
            folder that stands there by then stays: of two processes that make the same, the first wins.
    """
    temporary = beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if manifest:
            names = sorted(p for p in temporary.rglob("*") if p.is_file())
            for name in names:
                _flush(name)
            write_json(temporary / MANIFEST, {str(p.relative_to(temporary)): sha256(p) for p in names})
        _put(temporary, path, replace=replace)
        _flush(path.parent)
    except (OSError, SafetensorError) as error:  # safetensors has errors of its own for a full disk
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def _put(folder: Path, path: Path, *, replace: bool) -> None:
    """Renames ``folder`` to ``path``; what stands there is moved away first, as often as somebody puts it there."""
    while True:
        try:
            folder.rename(path)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise
            if not replace:
                return
        else:
            return
        old = beside(path, "old-")
        with contextlib.suppress(FileNotFoundError):  # the other process moved it away
            path.rename(old)
        shutil.rmtree(old, ignore_errors=True)


#: seconds after which what was begun in a shared folder and not touched since is nobody's any more
ABANDONED = 86400.0


def sweep(folder: Path, untouched: float = 0.0) -> None:
    """Removes what a killed process left in ``folder``.

    Args:
        folder: where things are written under temporary names.
        untouched: only what nobody has written to for so many seconds; 0 for folders that no other process writes to.
    """
    for left in folder.glob(f"{TEMPORARY}*"):
        if untouched and time.time() - _touched(left) < untouched:
            continue
        if left.is_dir():
            shutil.rmtree(left, ignore_errors=True)
        else:
            with contextlib.suppress(OSError):
                left.unlink()


def _touched(path: Path) -> float:
    """When anything in ``path`` was last written; now, if it goes away meanwhile."""
    try:
        return max(p.stat().st_mtime for p in (path, *path.rglob("*")))
    except OSError:
        return time.time()


def damage(folder: Path) -> str | None:
    """What is wrong with a folder written by :func:`whole_folder`: a file's name and why; ``None`` if it is intact."""
    try:
        listed: Mapping[str, str] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return f"{folder / MANIFEST} cannot be read"
    if not isinstance(listed, dict) or not listed:
        return f"{folder / MANIFEST} is not what was written"
    for name, digest in listed.items():
        if Path(name).is_absolute() or ".." in Path(name).parts:
            return f"{folder / MANIFEST} names a file outside ({name})"
        file = folder / name
        try:
            same = sha256(file) == digest
        except FileNotFoundError:
            return f"{file} is missing"
        except (OSError, ValueError) as error:  # no right to read; no name that a file can have
            return f"{file!s} cannot be read ({getattr(error, 'strerror', None) or error})"
        if not same:
            return f"{file} is not what was written (sha256 differs)"
    return None
