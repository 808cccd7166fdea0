"""Files that are either whole or not there. Knows bytes and folders, not what is in them.

Everything is written under a temporary name beside its place, flushed to disk, and renamed; a reader never sees half a
file and a crash leaves at most a name that starts with ``.tmp-``.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from polo.errors import PoloError

MANIFEST = "manifest.json"


def write_bytes(path: Path, data: bytes) -> None:
    """Writes ``data`` to ``path``, whole or not at all."""
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        with temporary.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Writes ``value`` as indented JSON, whole or not at all."""
    write_bytes(path, (json.dumps(value, indent=2, ensure_ascii=False) + "\n").encode())


def cannot_write(path: Path, error: OSError) -> PoloError:
    """The error for a disk that is full or read-only."""
    return PoloError(
        f"cannot write: {error.strerror or error}",
        where=str(path),
        fix="free some space or choose another place with out=FOLDER",
    )


def sha256(path: Path) -> str:
    """Hex sha256 of a file's content."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def whole_folder(path: Path, *, manifest: bool = True) -> Iterator[Path]:
    """A folder that appears under its name when the block ends, complete, with a manifest of its files' hashes.

    Whatever stood at ``path`` is replaced. If the block raises, nothing is left behind.
    """
    temporary = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.mkdir()
        yield temporary
        if manifest:
            names = sorted(p for p in temporary.rglob("*") if p.is_file())
            write_json(temporary / MANIFEST, {str(p.relative_to(temporary)): sha256(p) for p in names})
        if path.exists():
            old = path.with_name(f".tmp-{uuid.uuid4().hex[:8]}-old-{path.name}")
            path.rename(old)
            temporary.rename(path)
            shutil.rmtree(old, ignore_errors=True)
        else:
            temporary.rename(path)
    except OSError as error:
        raise cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def damage(folder: Path) -> str | None:
    """What is wrong with a folder written by :func:`whole_folder`: a file's name and why; ``None`` if it is intact."""
    try:
        listed: Mapping[str, str] = json.loads((folder / MANIFEST).read_text("utf-8"))
    except (OSError, ValueError):
        return f"{folder / MANIFEST} cannot be read"
    for name, digest in listed.items():
        file = folder / name
        if not file.is_file():
            return f"{file} is missing"
        if sha256(file) != digest:
            return f"{file} is not what was written (sha256 differs)"
    return None
