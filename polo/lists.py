"""Lists of item numbers: of unlike lengths, the whole catalogue but for some, and what each user is known to have.

Knows numbers. Knows no rows (``polo.data`` does) and no file.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Ragged:
    """N lists of item numbers of unlike lengths, flat: list i is ``items[offsets[i]:offsets[i + 1]]``.

    Example:
        >>> import numpy as np
        >>> lists = Ragged.of([[3, 1], [], [4]])
        >>> len(lists), lists.lengths.tolist(), lists[np.array([2, 0])].items.tolist()
        (3, [2, 0, 1], [4, 3, 1])
    """

    items: IntArray
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: IntArray | slice) -> Ragged:
        """The lists at ``index`` (an integer array or a slice, not a single number), in its order."""
        chosen = np.arange(len(self), dtype=np.int64)[index]
        lengths = self.lengths[chosen]
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        within = np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], lengths)
        return Ragged(self.items[np.repeat(self.offsets[chosen], lengths) + within], offsets)

    @property
    def lengths(self) -> IntArray:
        """int64 ``[N]``, how many items each list holds."""
        return np.diff(self.offsets)

    @classmethod
    def of(cls, lists: Sequence[Sequence[int]]) -> Ragged:
        offsets = np.cumsum([0, *(len(one) for one in lists)], dtype=np.int64)
        flat = [np.empty(0, np.int64), *(np.asarray(one, dtype=np.int64) for one in lists)]
        return cls(np.concatenate(flat), offsets)


@dataclass(frozen=True)
class Whole:
    """The whole catalogue as the list that is ranked for each of N rows, but for some items.

    Args:
        n_items: size of the catalogue.
        without: N lists of different items that are left out, such as what the user took before.
    """

    n_items: int
    without: Ragged

    def __getitem__(self, index: IntArray | slice) -> Whole:
        return Whole(self.n_items, self.without[index])

    @property
    def lengths(self) -> IntArray:
        """int64 ``[N]``, how many items are ranked."""
        return self.n_items - self.without.lengths


class Known:
    """Which items a user is known to have consumed, for fast membership tests.

    Example:
        >>> import numpy as np
        >>> known = Known(np.array([0, 0, 2]), np.array([3, 1, 4]), n_items=5)
        >>> known.has(np.array([0, 2]), np.array([[1, 2], [4, 0]])).tolist()
        [[True, False], [True, False]]
    """

    def __init__(self, user: IntArray, item: IntArray, n_items: int) -> None:
        self.n_items = n_items
        self._codes = np.unique(user.astype(np.int64) * n_items + item)
        self._shift = self.shift(len(self._codes))
        self._marked = np.zeros(self.size(len(self._codes)), dtype=np.uint8)
        np.bitwise_or.at(self._marked, *self.place(self._codes, self._shift))

    @staticmethod
    def shift(count: int) -> np.uint64:
        """By how much hashes of ``count`` codes are shifted.

        There is a bit for each hash, and at least 16 hashes a code: most items that a user does not know are told by
        their bit alone.
        """
        return np.uint64(64 - max(6, (16 * count).bit_length()))

    @classmethod
    def size(cls, count: int) -> int:
        """How many bytes the bits of ``count`` codes take."""
        return 1 << (61 - int(cls.shift(count)))

    @staticmethod
    def place(codes: IntArray, shift: np.uint64) -> tuple[IntArray, npt.NDArray[np.uint8]]:
        """Byte and bit of each code: upper bits of a product with 2^64 / golden ratio (Knuth, TAOCP 3, sec. 6.4)."""
        place = codes.astype(np.uint64)
        place *= np.uint64(0x9E3779B97F4A7C15)
        place >>= shift
        bit = place.astype(np.uint8)
        bit &= np.uint8(7)
        place >>= np.uint64(3)
        return place.view(np.int64), np.left_shift(np.uint8(1), bit, out=bit)

    def has(self, user: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """``user [N]``, ``items [N, k]`` -> bool ``[N, k]``."""
        codes = user[:, None] * self.n_items + items
        byte, bit = self.place(codes, self._shift)
        marked = self._marked.take(byte)
        marked &= bit
        found: npt.NDArray[np.bool_] = marked != 0
        perhaps = codes[found]
        if len(perhaps):  # the bit says perhaps, or no
            order = perhaps.argsort()  # in ascending order they are found in a fraction of the time
            ascending = perhaps[order]
            at = np.searchsorted(self._codes, ascending)
            known = np.empty(len(perhaps), np.bool_)
            known[order] = self._codes[np.minimum(at, len(self._codes) - 1)] == ascending
            found[found] = known
        return found

    def count(self, user: IntArray) -> IntArray:
        """How many items each user is known to have consumed: int64 ``[N]``."""
        low = np.searchsorted(self._codes, user * self.n_items)
        high = np.searchsorted(self._codes, (user + 1) * self.n_items)
        return (high - low).astype(np.int64)

    def lists(self, user: IntArray) -> Ragged:
        """What each user is known to have consumed, ascending: N lists."""
        start, count = np.searchsorted(self._codes, user * self.n_items), self.count(user)
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
        within = np.arange(offsets[-1], dtype=np.int64) - np.repeat(offsets[:-1], count)
        return Ragged(self._codes[np.repeat(start, count) + within] % self.n_items, offsets)

    def items(self, user: IntArray) -> IntArray:
        """What each user is known to have consumed, ascending, filled up with -1: int64 ``[N, most of them]``."""
        count, start = self.count(user), np.searchsorted(self._codes, user * self.n_items)
        place = np.arange(int(count.max(initial=0)))
        if not len(place):
            return np.empty((len(user), 0), dtype=np.int64)
        codes = self._codes[np.minimum(start[:, None] + place, len(self._codes) - 1)]
        return np.where(place < count[:, None], codes % self.n_items, -1).astype(np.int64)
