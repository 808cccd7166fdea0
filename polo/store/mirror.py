"""A run kept on an object store: what is written here is copied there, and fetched from there to go on.

``out: s3://bucket/runs`` (any path of fsspec). The run itself works in a folder of the cache, with renames and locks
that object stores have not; whenever something whole was written (a checkpoint, a stage, results) the difference is
uploaded. There, too, a reader trusts a folder only when its manifest is there and true: manifests are uploaded after
the files that they list, and removed before them. Knows files and URLs; knows nothing of what is in them.

What no store locks: two machines that go on in one run at the same time.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from polo.errors import InputError, PoloError
from polo.store.files import MANIFEST, TEMPORARY, beside, write_json

#: what was uploaded, by name: when it was changed and its size; of this machine alone
_STATE = ".mirror.json"
_OWN = frozenset({_STATE, ".lock"})
#: the last that is uploaded: from here on a run can go on, and has ended
_LAST = ("resolved.yaml", "results.json")


def is_remote(place: str) -> bool:
    """Whether a place is a URL.

    Example:
        >>> is_remote("s3://bucket/runs"), is_remote("runs")
        (True, False)
    """
    return "://" in place


def check_store(url: str) -> None:
    """Refuses a URL of a kind that no installed library knows; asks nobody.

    Raises:
        InputError: it is one.
    """
    _store(url)


def working(url: str, cache: Path) -> Path:
    """The folder of this machine in which a run, or the runs of a place, at ``url`` are worked on.

    Example:
        >>> working("s3://bucket/runs/toy-1", Path("cache")).name
        'toy-1'
    """
    parent, _, name = url.rstrip("/").rpartition("/")
    return cache / "mirrored" / hashlib.sha256(parent.encode()).hexdigest()[:16] / name


def fetch(url: str, cache: Path) -> Path:
    """Copies a run from ``url``; gives its folder of this machine, in which nothing is if there is nothing to fetch.

    What was worked on here before is replaced by what is there. If nothing is there it stays, since it never arrived.

    Raises:
        InputError: the place cannot be read.
    """
    store, root = _store(url)
    local = working(url, cache)
    try:
        names = [str(name) for name in store.find(root)]
        if not names:
            return local
        temporary = beside(local)
        try:
            for name in names:
                place = temporary / name.removeprefix(root).lstrip("/")
                if not place.resolve().is_relative_to(temporary.resolve()):
                    raise InputError(f"a name leads out of the run ({name})", where=url, fix="remove it there")
                place.parent.mkdir(parents=True, exist_ok=True)
                store.get_file(name, str(place))
            for room in ("checkpoints", "stages", "eval"):  # stores keep no empty folders
                (temporary / room).mkdir(exist_ok=True)
            write_json(temporary / _STATE, _stamps(temporary))
            shutil.rmtree(local, ignore_errors=True)
            temporary.rename(local)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
    except PoloError:
        raise
    except Exception as error:  # stores raise what their parts raise
        raise _unreachable(url, error) from error
    return local


class Mirror:
    """Keeps ``url`` like a folder of this machine.

    Args:
        url: of the run.
        folder: in which it is worked on.
        warn: told in a line of an upload that failed; it is tried again with the next.
    """

    def __init__(self, url: str, folder: Path, warn: Callable[[str], None]) -> None:
        self.url, self._folder, self._warn = url, folder, warn
        self._store, self._root = _store(url)

    def push(self) -> bool:
        """Uploads what changed and removes what is gone; whether all of it arrived."""
        try:
            self._push()
        except Exception as error:  # stores raise what their parts raise; the run itself is well
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            self._warn(f"warning: not copied to {self.url} ({first}); tried again later, and whole in {self._folder}")
            return False
        return True

    def _push(self) -> None:
        state = self._folder / _STATE
        sent: dict[str, list[int]] = json.loads(state.read_text("utf-8")) if state.is_file() else {}
        here = _stamps(self._folder)
        changed = sorted((name for name in here if sent.get(name) != here[name]), key=_order)
        # a manifest whose files change is true of neither; it goes first, and comes last
        touched = {str(Path(name).parent) for name in changed}
        stale = [name for name in sent if Path(name).name == MANIFEST and (name not in here or _above(name, touched))]
        gone = [name for name in sent if name not in here and name not in stale]
        for name in (*stale, *gone):
            if self._store.exists(f"{self._root}/{name}"):
                self._store.rm_file(f"{self._root}/{name}")
            del sent[name]
        for name in sorted({*changed, *(name for name in stale if name in here)}, key=_order):
            place = f"{self._root}/{name}"
            self._store.makedirs(place.rpartition("/")[0], exist_ok=True)
            self._store.put_file(str(self._folder / name), place)
            sent[name] = here[name]
        write_json(state, sent)


def _above(manifest: str, folders: Iterable[str]) -> bool:
    """Whether a manifest lists files of one of ``folders``."""
    parent = Path(manifest).parent
    return any(Path(folder) == parent or parent in Path(folder).parents for folder in folders)


def _stamps(folder: Path) -> dict[str, list[int]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if path.is_file() and not (str(name) in _OWN or any(part.startswith(TEMPORARY) for part in name.parts)):
            found[name.as_posix()] = [path.stat().st_mtime_ns, path.stat().st_size]
    return found


def _order(name: str) -> tuple[int, str]:
    last = 2 + _LAST.index(name) if name in _LAST else int(Path(name).name == MANIFEST)
    return last, name


def _store(url: str) -> tuple[Any, str]:
    from fsspec.core import url_to_fs

    try:
        store, root = url_to_fs(url.rstrip("/"), use_listings_cache=False)
    except (ImportError, ValueError) as error:
        raise InputError(
            f"no store of this kind: {error}", where=url, fix="s3:// needs `pip install 'polo-rec[s3]'`"
        ) from error
    return store, str(root)


def _unreachable(url: str, error: Exception) -> InputError:
    first = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return InputError(f"cannot be read: {first}", where=url, fix="look at the name, the network and the credentials")
