"""Items, rows and splits: the data as the engine sees it.

Columns of numpy arrays; a row is (user, shown history, target, candidates). Knows item numbers (0 to n-1) and titles.
Knows no file format (data sources do), no tokens (policies do), no torch. Rows whose texts are their own use the same
columns, as ``polo.texts`` says.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from polo.texts import OwnTexts

IntArray = npt.NDArray[np.int64]
FloatArray = npt.NDArray[np.float64]
BoolArray = npt.NDArray[np.bool_]

#: stands in ``history`` where a row has fewer items than the window is long, and at the end of a list of candidates
#: that has fewer than the longest
PAD = -1


@dataclass(frozen=True)
class ItemTable:
    """The catalogue. Item ``i`` is ``titles[i]``, known to its publisher as ``ids[i]``.

    ``facts`` are further columns by name, such as ``{"genres": ["Action|Crime", ...]}``.
    """

    titles: Sequence[str]
    ids: Sequence[str]
    facts: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.titles)


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


@dataclass(frozen=True)
class Rows:
    """N next-item examples, as columns.

    Args:
        id: int64 ``[N]``, unique in the data set over all splits; what randomness and caches are keyed by.
        user: int64 ``[N]``; intervals and tests are clustered by it.
        history: int64 ``[N, H]``, oldest first, right-aligned, padded on the left with :data:`PAD`.
        target: int64 ``[N]``, the item that was chosen next.
        candidates: int64 ``[N, n]``, the list that is ranked (holds the target exactly once), or ``None``. Lists that
            are shorter are padded on the right with :data:`PAD`.
        relevant: N lists of all items that count as right, where there are several for a row (a user with a set);
            ``target`` is then the first of each. ``None``: the target alone.
        whole: for rows for which the whole catalogue is ranked: what is left out for each, in place of a list.

    Example:
        >>> import numpy as np
        >>> history = np.array([[-1, 3], [4, 5]])
        >>> rows = Rows(id=np.arange(2), user=np.array([7, 8]), history=history, target=np.array([1, 2]))
        >>> len(rows), rows[np.array([1])].history.tolist(), rows.history_of(0).tolist()
        (2, [[4, 5]], [3])
    """

    id: IntArray
    user: IntArray
    history: IntArray
    target: IntArray
    candidates: IntArray | None = None
    relevant: Ragged | None = None
    whole: Whole | None = None

    def __len__(self) -> int:
        return len(self.id)

    def __getitem__(self, index: IntArray | slice) -> Rows:
        """The rows at ``index`` (an integer array or a slice, not a single number)."""
        candidates = None if self.candidates is None else self.candidates[index]
        relevant = None if self.relevant is None else self.relevant[index]
        whole = None if self.whole is None else self.whole[index]
        return Rows(
            self.id[index], self.user[index], self.history[index], self.target[index], candidates, relevant, whole
        )

    def history_of(self, i: int) -> IntArray:
        """The shown history of row ``i`` without padding."""
        row = self.history[i]
        shown: IntArray = row[row != PAD]
        return shown

    @property
    def listed(self) -> IntArray:
        """The lists with an item at every place, int64 ``[N, n]``: the target stands where a list has no more items.

        Raises:
            ValueError: rows without lists.
        """
        if self.candidates is None:
            raise ValueError("these rows have no candidate lists")
        return np.where(self.candidates == PAD, self.target[:, None], self.candidates)

    def with_candidates(self, candidates: IntArray | None) -> Rows:
        return replace(self, candidates=candidates)

    def spread_out(self) -> Rows:
        """Rows of a whole catalogue with a list of all its items, in order; for a block of rows at a time."""
        if self.whole is None:
            raise ValueError("the whole catalogue is not what is ranked for these rows")
        n = self.whole.n_items
        return self.with_candidates(np.broadcast_to(np.arange(n, dtype=np.int64), (len(self), n)))


@dataclass(frozen=True)
class Sequences:
    """Whole training sequences in time order, flat: sequence s is ``items[offsets[s]:offsets[s + 1]]``.

    What bases are trained on and baselines count on; holds nothing of the validation and test splits.
    """

    user: IntArray
    items: IntArray
    offsets: IntArray

    def __len__(self) -> int:
        return len(self.user)

    def __getitem__(self, s: int) -> IntArray:
        return self.items[self.offsets[s] : self.offsets[s + 1]]

    @classmethod
    def of(cls, users: Sequence[int], sequences: Sequence[Sequence[int]]) -> Sequences:
        """From one list of items for each user."""
        offsets = np.cumsum([0, *(len(s) for s in sequences)], dtype=np.int64)
        flat = np.concatenate([np.empty(0, np.int64), *(np.asarray(s, dtype=np.int64) for s in sequences)])
        return cls(np.asarray(users, dtype=np.int64), flat, offsets)


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
        # a bit for each hash that occurs among at least 16 a code: most items that a user does not know are told by it
        self._shift = np.uint64(64 - max(6, (16 * len(self._codes)).bit_length()))
        self._marked = np.zeros(1 << (61 - int(self._shift)), dtype=np.uint8)
        np.bitwise_or.at(self._marked, *self._place(self._codes))

    def _place(self, codes: IntArray) -> tuple[npt.NDArray[np.uint64], npt.NDArray[np.uint8]]:
        """Byte and bit of each code: upper bits of a product with 2^64 / golden ratio (Knuth, TAOCP 3, sec. 6.4)."""
        place = (codes.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)) >> self._shift
        return place >> np.uint64(3), np.uint8(1) << (place & np.uint64(7)).astype(np.uint8)

    def has(self, user: IntArray, items: IntArray) -> npt.NDArray[np.bool_]:
        """``user [N]``, ``items [N, k]`` -> bool ``[N, k]``."""
        codes = user[:, None] * self.n_items + items
        byte, bit = self._place(codes)
        found: npt.NDArray[np.bool_] = (self._marked[byte] & bit) != 0
        perhaps = codes[found]
        if len(perhaps):  # the bit says perhaps, or no
            at = np.searchsorted(self._codes, perhaps)
            found[found] = self._codes[np.minimum(at, len(self._codes) - 1)] == perhaps
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


@dataclass(frozen=True, kw_only=True)
class Splits:
    """A data set, split, as a data source returns it.

    Args:
        name: short name, such as ``"lastfm"``.
        form: which form of the data set (part of the protocol), such as ``"sdpo"``.
        items: the catalogue.
        train, valid, test: rows; ``candidates`` filled only where the file itself holds lists.
        sequences: the training split as whole sequences.
        known_train: what is known from the training split alone; training negatives avoid it.
        known_all: what is known from all splits; evaluation candidates avoid it.
        fingerprint: hash of the content; changes whenever any row, title or split changes.
        licence: terms of use in one line.
        tied_times: share of neighbouring events of a user with one and the same timestamp; ``None`` without timestamps.
        notes: counts worth telling, such as ``{"rows dropped: history shorter than 3": 120}``.
        own: the texts of rows that have texts of their own; then ``items`` is no catalogue (see ``polo.texts``).
    """

    name: str
    form: str
    items: ItemTable
    train: Rows
    valid: Rows
    test: Rows
    sequences: Sequences
    known_train: Known
    known_all: Known
    fingerprint: str
    licence: str = ""
    tied_times: float | None = None
    notes: Mapping[str, int] = field(default_factory=dict)
    own: OwnTexts | None = None

    @property
    def n_users(self) -> int:
        """One more than the highest user number of any row: the length of a table with an entry for each user."""
        numbers = (rows.user for rows in (self.train, self.valid, self.test))
        return 1 + max((int(user.max()) for user in numbers if len(user)), default=-1)
