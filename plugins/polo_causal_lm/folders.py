"""The files of a base model: their hash, and a second place for them. Knows bytes; knows no model."""

from __future__ import annotations

import contextlib
import hashlib
import json
import shutil
from pathlib import Path

from polo import PoloError, whole_file, whole_folder

#: endings of what makes a model: config, weights, tokenizer, and code of its own
_ENDINGS = (".json", ".safetensors", ".model", ".txt", ".jinja", ".py")


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.suffix in _ENDINGS and path.is_file())


def folder_hash(folder: Path, cache: Path | None = None) -> str:
    """sha256 over names and bytes of a model's config, weights and tokenizer.

    Args:
        folder: where the files lie; no part of the hash.
        cache: folder in which each file's hash is remembered by path, size and time of change; ``None`` reads all anew.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as d:
        ...     _ = Path(d, "config.json").write_text("{}")
        ...     len(folder_hash(Path(d)))
        64
    """
    whole = hashlib.sha256()
    for path in _files(folder):
        whole.update(f"{path.name}\0{_hash(path, cache)}\0".encode())
    return whole.hexdigest()


def _hash(path: Path, cache: Path | None) -> str:
    if cache is None:
        return _read(path)
    found = path.stat()
    where = str(path.resolve())
    told = [where, found.st_size, found.st_mtime_ns, found.st_ino]
    place = cache / "hashes" / hashlib.sha256(where.encode()).hexdigest()[:32]
    try:
        known = json.loads(place.read_text("utf-8"))
        if known[:-1] == told:
            return str(known[-1])
    except (OSError, ValueError, TypeError):
        pass
    digest = _read(path)
    with contextlib.suppress(PoloError), whole_file(place) as temporary:  # full, or read-only: read anew next time
        temporary.write_text(json.dumps([*told, digest]), "utf-8")
    return digest


def _read(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy(source: Path, folder: Path) -> None:
    """The model's files in ``folder``, which is made, as files of their own."""
    folder.mkdir()
    for path in _files(source):
        shutil.copyfile(path, folder / path.name)


def keep(source: Path, folder: Path) -> None:
    """The model's files in ``folder`` too, by hard links, else as copies; what stood there is replaced."""
    if folder.is_dir() and (folder.samefile(source) or folder_hash(folder) == folder_hash(source)):
        return
    with whole_folder(folder, manifest=False) as work:
        for path in _files(source):
            try:
                (work / path.name).hardlink_to(path.resolve())
            except OSError:  # another file system, or one without links
                shutil.copyfile(path, work / path.name)
