"""The encoder ``file``: vectors that somebody made elsewhere. Knows three file forms and ids of items."""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open

from polo import Context, InputError, ItemTable, Splits, Vectors
from polo_tfllmer.options import FileOptions
from polo_tfllmer.prints import print_of

#: ids that a message names
_NAMED = 5


class File:
    """Vectors of .npy (also .npy.gz), .safetensors or .parquet; float16 becomes float32, integers are refused.

    Rows are matched by the publisher's ids (``items.ids``) where the file or ``ids`` has some, else by order, and then
    there must be as many rows as items. Missing items are refused by name or get the mean of the others; extra ones
    are named and left out.

    Example:
        >>> import tempfile
        >>> from polo.testing import context, small_splits
        >>> splits = small_splits(users=3, items=20)
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     np.save(f"{folder}/v.npy", np.ones((20, 3)))
        ...     File(FileOptions(path=f"{folder}/v.npy"), context()).vectors(splits.items, splits).shape
        (20, 3)
    """

    def __init__(self, options: FileOptions, context: Context) -> None:
        self.options, self._say = options, context.say
        self.path = Path(options.path).expanduser()

    def vectors(self, items: ItemTable, splits: Splits) -> Vectors:
        vectors, ids = self._read()
        if vectors.ndim != 2 or not np.issubdtype(vectors.dtype, np.floating):
            raise self._wrong(f"holds {vectors.dtype} {list(vectors.shape)}, not real numbers [items, dimensions]")
        if vectors.dtype == np.float16:
            vectors = vectors.astype(np.float32)
        bad = ~np.isfinite(vectors).all(axis=1)
        if bad.any():
            raise self._wrong(f"row {int(bad.argmax())} (counted from 0) holds a number that is not finite")
        if ids is None:
            if len(vectors) != len(items):
                raise self._wrong(f"holds {len(vectors):,} vectors, and there are {len(items):,} items",
                                  "give their ids: ids=FILE, one a line")  # fmt: skip
            made: Vectors = vectors
            return made
        return self._matched(vectors, ids, items.ids)

    def _matched(self, vectors: Vectors, ids: Sequence[str], wanted: Sequence[str]) -> Vectors:
        if len(ids) != len(vectors):
            raise self._wrong(f"holds {len(vectors):,} vectors, and there are {len(ids):,} ids")
        place = {one: row for row, one in enumerate(ids)}
        if len(place) != len(ids):
            twice = next(one for row, one in enumerate(ids) if place[one] != row)
            raise self._wrong(f"has the item {twice!r} twice")
        missing = [one for one in wanted if one not in place]
        known = set(wanted)
        extra = [one for one in ids if one not in known]
        if extra:
            self._say(f"file: {len(extra):,} vectors of {self.path.name} are of no item here: {_named(extra)}")
        if missing and (self.options.missing == "refuse" or len(missing) == len(wanted)):
            raise self._wrong(f"has no vector of {len(missing):,} items: {_named(missing)}",
                              "add them, or set missing: mean")  # fmt: skip
        there = np.array([one in place for one in wanted])
        found = np.empty((len(wanted), vectors.shape[1]), vectors.dtype)
        found[there] = vectors[[place[one] for one in wanted if one in place]]
        if missing:
            self._say(f"file: {len(missing):,} items have the mean vector: {_named(missing)}")
            found[~there] = found[there].mean(axis=0, dtype=np.float64)
        return found

    def _read(self) -> tuple[Any, Sequence[str] | None]:
        """The array, and the ids if there are any."""
        if not self.path.is_file():
            raise self._wrong("no such file" if self.options.path else "no path is given", "set path to a file")
        name = self.path.name
        ids = None if self.options.ids is None else self._lines(Path(self.options.ids).expanduser())
        try:
            if name.endswith((".npy", ".npy.gz")):
                with gzip.open(self.path) if name.endswith(".gz") else self.path.open("rb") as file:
                    return np.load(file, allow_pickle=False), ids
            if name.endswith(".safetensors"):
                with safe_open(self.path, "numpy") as file:
                    return self._column(file.get_tensor, list(file.keys()), self.options.vector), ids
            if name.endswith(".parquet"):
                return self._parquet()
        except (OSError, EOFError, ValueError, SafetensorError) as error:
            raise self._wrong(f"cannot be read: {error}", "check the file; was it cut off?") from error
        raise self._wrong("cannot tell what it is", "name it *.npy, *.npy.gz, *.safetensors or *.parquet")

    def _parquet(self) -> tuple[Any, Sequence[str]]:
        from pyarrow import parquet  # a heavy import that only this form needs

        table = parquet.read_table(self.path)
        lines = self._column(table.__getitem__, table.column_names, self.options.vector).to_pylist()
        ids = self._column(table.__getitem__, table.column_names, self.options.id_column).to_pylist()
        if len({len(line or ()) for line in lines}) > 1:
            raise self._wrong("its vectors are of unlike lengths")
        return np.array(lines, dtype=np.float32), [str(one) for one in ids]

    def _column(self, get: Any, names: Sequence[str], name: str) -> Any:
        if name not in names:
            raise self._wrong(f"has no {name!r}; it has {', '.join(names) or 'nothing'}", "set vector or id_column")
        return get(name)

    def _lines(self, path: Path) -> list[str]:
        try:
            return path.read_text("utf-8").split()
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"cannot be read: {error}", where=str(path), fix="give a text file, an id a line"
            ) from error

    def _wrong(self, what: str, fix: str = "mend the file") -> InputError:
        return InputError(what, where=str(self.path), fix=fix)

    def fingerprint(self) -> str:
        """Of the options, and of the bytes of the files but not their places."""
        named = [self.path, *([Path(self.options.ids).expanduser()] if self.options.ids else [])]
        try:
            hashes = [_sha256(path) for path in named]
        except OSError as error:
            raise self._wrong(f"cannot be read: {error}", "set path to a file") from error
        return print_of("file", replace(self.options, path=self.path.name, ids=None), *hashes)


def _sha256(path: Path) -> str:
    """Of a file that may be larger than memory."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _named(ids: Sequence[str]) -> str:
    return ", ".join(ids[:_NAMED]) + (", ..." if len(ids) > _NAMED else "")
