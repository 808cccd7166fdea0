"""Rows and known items that lie on the disk: memory does not grow with how many there are.

A row that is a window of a sequence follows from the sequence, so it is made when it is asked for. Arrays may be mapped
from files; whoever makes these (a data source) knows which files. Knows no file format and no split rule.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt

from polo.data import BLOCK, PAD, Rows
from polo.errors import PoloError
from polo.lists import IntArray, Known


class LazyRows(Rows):
    """N next-item rows of sequences that lie one after the other, each row made when it is asked for.

    Indexing gives ordinary :class:`Rows`; so do :meth:`blocks`. Each column as a whole (``rows.user``) is there as
    well, but gathers N values: where memory must not grow with N, go by blocks.

    Args:
        items: whole numbers ``[M]``, all sequences, flat.
        user: int64 ``[S]``, whose each sequence is; ascending.
        begin: int64 ``[S]``, where each sequence begins in ``items``.
        place: int64 ``[S]``, the place within each sequence of the target of its first row.
        starts: int64 ``[S + 1]``, how many rows the sequences before each have; the targets of a sequence's rows
            follow each other.
        window: how many items a row shows at most.
        first_id: number of the first row; the others follow.
        folder: where room on the disk is made, see :meth:`room`; ``None``: in memory.

    Example:
        >>> import numpy as np
        >>> items, starts = np.array([3, 1, 4, 5, 2], np.int32), np.array([0, 2, 3])
        >>> user, begin, place = np.array([7, 9]), np.array([0, 3]), np.array([1, 1])
        >>> rows = LazyRows(items, user, begin, place, starts, window=2)
        >>> some = rows[np.array([1, 2])]
        >>> len(rows), some.user.tolist(), some.history.tolist(), some.target.tolist()
        (3, [7, 9], [[3, 1], [-1, 5]], [4, 2])
    """

    def __init__(
        self,
        items: npt.NDArray[np.integer],
        user: IntArray,
        begin: IntArray,
        place: IntArray,
        starts: IntArray,
        *,
        window: int,
        first_id: int = 0,
        folder: Path | None = None,
    ) -> None:
        given = {"items": items, "sequence_user": user, "begin": begin, "place": place, "starts": starts}
        # views of the class that does not ask at every look whether it still lies on the disk
        arrays = {f"_{name}": np.asarray(array) for name, array in given.items()}
        vars(self).update(arrays, _window=window, first_id=first_id, _folder=folder, _count=int(starts[-1]))

    _items: npt.NDArray[np.integer]
    _sequence_user: IntArray
    _begin: IntArray
    _place: IntArray
    _starts: IntArray
    _window: int
    _folder: Path | None
    _count: int
    first_id: int

    def __repr__(self) -> str:
        return f"LazyRows({len(self):,} rows of {len(self._sequence_user):,} sequences)"

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, index: IntArray | slice) -> Rows:
        row = self._rows(index)
        sequence, place = self.placed(row)
        flat = self._begin[sequence] + place
        back = np.arange(-self._window, 0)
        inside = place[:, None] + back >= 0
        shown = np.where(inside, self._items[np.maximum(flat[:, None] + back, 0)], PAD).astype(np.int64)
        return Rows(self.first_id + row, self._sequence_user[sequence], shown, self._items[flat].astype(np.int64))

    def _rows(self, index: IntArray | slice) -> IntArray:
        if isinstance(index, slice):
            return np.arange(*index.indices(len(self)), dtype=np.int64)
        row = np.flatnonzero(index) if index.dtype == np.bool_ else index
        if len(row) and not (-len(self) <= row.min() and row.max() < len(self)):
            raise IndexError(f"{len(self)} rows hold no row {row.min()} or {row.max()}")
        return np.where(row < 0, row + len(self), row).astype(np.int64)

    def placed(self, row: IntArray) -> tuple[IntArray, IntArray]:
        """Of which sequence (its number) each row is, and where in it its target stands."""
        sequence = np.searchsorted(self._starts, row, side="right") - 1
        return sequence, self._place[sequence] + row - self._starts[sequence]

    def of_users(self, users: IntArray) -> Rows:
        """The rows of some users, in memory.

        Args:
            users: int64 ``[U]``, ascending.
        """
        mine = np.flatnonzero(np.isin(self._sequence_user, users))
        starts, counts = self._starts[mine], self._starts[mine + 1] - self._starts[mine]
        within = np.arange(int(counts.sum())) - np.repeat(np.cumsum(counts) - counts, counts)
        return self[np.repeat(starts, counts) + within]

    def per_sequence(self) -> tuple[IntArray, IntArray]:
        """The place of the first target of each sequence, and how many rows it has; ``[S]`` each."""
        return self._place, np.diff(self._starts)

    # -- whole columns: N values each ------------------------------------------------------------------------------

    @property
    def id(self) -> IntArray:
        return np.arange(self.first_id, self.first_id + len(self), dtype=np.int64)

    @property
    def user(self) -> IntArray:
        return np.repeat(self._sequence_user, np.diff(self._starts))

    @property
    def target(self) -> IntArray:
        return self._targets(slice(None))

    @property
    def history(self) -> IntArray:
        return self.gathered().history

    def _targets(self, index: slice) -> IntArray:
        sequence, place = self.placed(self._rows(index))
        targets: IntArray = self._items[self._begin[sequence] + place].astype(np.int64)
        return targets

    # -- without them ----------------------------------------------------------------------------------------------

    @property
    def window(self) -> int:
        return self._window

    def users(self) -> IntArray:
        return np.unique(self._sequence_user[np.diff(self._starts) > 0])

    def target_counts(self, n_items: int) -> IntArray:
        counts = np.zeros(n_items, np.int64)
        for start in range(0, len(self), BLOCK):
            counts += np.bincount(self._targets(slice(start, start + BLOCK)), minlength=n_items)
        return counts

    def gathered(self) -> Rows:
        return self[:]

    def with_candidates(self, candidates: IntArray | None) -> Rows:
        return self if candidates is None else self.gathered().with_candidates(candidates)

    def room(self, count: int) -> IntArray:
        """Numbers in a file without a name, which goes with the process, however that ends.

        Raises:
            PoloError: the disk has no room.
        """
        if self._folder is None or not count:
            return super().room(count)
        try:
            with tempfile.TemporaryFile(dir=self._folder) as file:
                _reserve(file.fileno(), 8 * count)
                return np.asarray(np.memmap(file, np.int64, mode="r+", shape=(count,)))
        except OSError as error:
            raise PoloError(
                f"no room for {count:,} numbers: {error.strerror or error}",
                where=str(self._folder),
                fix="make room, or set POLO_CACHE to another disk",
            ) from error


class KnownOnDisk(Known):
    """:class:`Known` of codes that are sorted already, with its bits beside them; both may be mapped from files.

    Args:
        codes: int64 ``[M]``, ``user * n_items + item``, ascending, each once.
        marked: uint8 of :meth:`size` entries, which :meth:`mark` was called on for all codes.
        n_items: size of the catalogue.

    Example:
        >>> import numpy as np
        >>> codes = np.array([1, 3, 14])
        >>> marked = np.zeros(KnownOnDisk.size(len(codes)), np.uint8)
        >>> KnownOnDisk.mark(codes, len(codes), marked)
        >>> KnownOnDisk(codes, marked, n_items=5).has(np.array([0, 2]), np.array([[1, 2], [4, 0]])).tolist()
        [[True, False], [True, False]]
    """

    def __init__(self, codes: IntArray, marked: npt.NDArray[np.uint8], n_items: int) -> None:
        self.n_items = n_items
        self._codes, self._marked = np.asarray(codes), np.asarray(marked)
        self._shift = self.shift(len(codes))

    @classmethod
    def unmarked(cls, path: Path, count: int) -> npt.NDArray[np.uint8]:
        """Room for the bits of ``count`` codes in a new file, none of them set."""
        with path.open("wb") as file:
            _reserve(file.fileno(), cls.size(count))
        return np.asarray(np.memmap(path, np.uint8, mode="r+"))

    @classmethod
    def mark(cls, codes: IntArray, count: int, marked: npt.NDArray[np.uint8]) -> None:
        """Sets the bits of some of the ``count`` codes."""
        np.bitwise_or.at(marked, *cls.place(codes, cls.shift(count)))


def _reserve(file: int, size: int) -> None:
    """Zeros that have their place on the disk: a page that finds none when it is written ends the process.

    Where the system cannot reserve (macOS), the file has its length alone.
    """
    try:
        os.posix_fallocate(file, 0, size)
    except AttributeError:
        os.ftruncate(file, size)
