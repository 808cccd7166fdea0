"""Items, rows and splits: the data as the engine sees it.

Columns of numpy arrays; a row is (user, shown history, target, candidates). Knows item numbers (0 to n-1) and titles.
Knows no file format (data sources do), no tokens (policies do), no torch. Rows whose texts are their own use the same
columns, as ``polo.texts`` says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from polo.lists import BoolArray as BoolArray
from polo.lists import IntArray as IntArray
from polo.lists import Known as Known
from polo.lists import Ragged as Ragged
from polo.lists import Whole as Whole
from polo.texts import OwnTexts

FloatArray = npt.NDArray[np.float64]

#: stands in ``history`` where a row has fewer items than the window is long, and at the end of a list of candidates
#: that has fewer than the longest
PAD = -1
#: rows of a block, where many are looked at; bounds memory, never a result
BLOCK: Final = 1 << 18


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

    @property
    def window(self) -> int:
        """How many items a row shows at most."""
        return int(self.history.shape[1])

    def blocks(self, size: int = BLOCK) -> Iterator[Rows]:
        """All rows in their order, ``size`` of them at a time."""
        for start in range(0, len(self), size):
            yield self[start : start + size]

    def users(self) -> IntArray:
        """The different users, ascending."""
        return np.unique(self.user)

    def target_counts(self, n_items: int) -> IntArray:
        """int64 ``[n_items]``, of how many rows each item is the target."""
        return np.bincount(self.target, minlength=n_items)

    def gathered(self) -> Rows:
        """The same rows with all their columns in memory."""
        return self

    def room(self, count: int) -> IntArray:
        """An array of ``count`` numbers to be written to, where these rows are kept: in memory, or on the disk."""
        return np.empty(count, np.int64)

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
        parts = (rows.users() for rows in (self.train, self.valid, self.test))
        return 1 + max((int(users[-1]) for users in parts if len(users)), default=-1)
