"""Different items for each row, uniformly: the one draw behind candidate lists and negative samplers.

Knows item numbers and addressed randomness. Knows no data set: what a row must not get is told by a function.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Final

import numpy as np
import numpy.typing as npt

from polo.data import BoolArray, IntArray
from polo.randomness import RowRandom

#: ``forbidden(at, items)``: positions ``at [m]`` into the given rows, proposed ``items [m, j]`` -> bool ``[m, j]``
Forbidden = Callable[[IntArray, IntArray], BoolArray]

#: rounds of rejection before the whole catalogue of a row is put in random order; rows with long histories need it
_ROUNDS: Final = 2
#: entries of the largest temporary array; bounds memory, never the result
_ENTRIES: Final = 1 << 20


def draw_distinct(
    rng: RowRandom, rows: IntArray, n_items: int, k: int, forbidden: Forbidden
) -> tuple[IntArray, BoolArray]:
    """Draws k different items for each row, uniformly and without replacement, from all that is not forbidden.

    Row i reads an endless stream of uniform item numbers that is addressed by ``rows[i]`` and keeps the first k that
    are new and not forbidden, so every ordered choice of k allowed items is equally likely, and the draw depends on
    the row alone: not on the other rows, their order or their number. A row that runs out of luck (few allowed items)
    has its remaining allowed items put in random order instead, which has the same law.

    Args:
        rng: randomness addressed by row.
        rows: int64 ``[B]``, row ids (the addresses).
        n_items: items are numbered 0 to ``n_items - 1``.
        k: how many to draw for each row.
        forbidden: ``forbidden(at, items)`` with positions ``at [m]`` into ``rows`` and ``items [m, j]`` -> bool
            ``[m, j]``, True where row ``at`` must not get the item.

    Returns:
        ``items`` int64 ``[B, k]`` and ``valid`` bool ``[B, k]``. A row with fewer than k allowed items gets all of
        them first; the rest is not valid (its item is 0).

    Example:
        >>> import numpy as np
        >>> even = lambda at, items: items % 2 == 0
        >>> items, valid = draw_distinct(RowRandom(0), np.array([4, 9]), 8, 5, even)
        >>> sorted(items[0, :4].tolist()), valid.tolist()
        ([1, 3, 5, 7], [[True, True, True, True, False], [True, True, True, True, False]])
    """
    items = np.zeros((len(rows), k), dtype=np.int64)
    found = np.zeros(len(rows), dtype=np.int64)
    if k == 0 or n_items == 0 or len(rows) == 0:
        return items, np.zeros((len(rows), k), dtype=np.bool_)
    width = 2 * k + 8
    # most rows of a large catalogue need hardly more than k proposals: the rest of a round is read where it is missed.
    # Where a round is cut decides no draw, as all of it is addressed by row and column
    at_first = k + k // 16 + 2
    parts = (slice(0, at_first), slice(at_first, width))
    step = max(1, _ENTRIES // width)
    for start in range(0, len(rows), step):
        open_ = np.arange(start, min(start + step, len(rows)), dtype=np.int64)
        for turn, part in product(range(_ROUNDS), parts):
            stream = rng.child("round", turn).uniform(rows[open_], part.stop)[:, part]
            stream *= n_items
            proposals = stream.astype(np.int64)
            _take(items, found, open_, proposals, ~forbidden(open_, proposals), n_items)
            open_ = open_[found[open_] < k]
            if not len(open_):
                break
    _finish(rng.child("rest"), rows, n_items, forbidden, items, found)
    return items, np.arange(k) < found[:, None]


def _take(
    items: IntArray, found: IntArray, at: IntArray, proposals: IntArray, allowed: BoolArray, n_items: int
) -> None:
    """Appends to ``items[at]`` the first proposals that are allowed and new, up to k; updates ``found``."""
    k, before = items.shape[1], found[at]
    most = int(before.max())
    # what a row holds already stands before the new proposals, so "first of its kind" also means "not yet drawn"
    held = np.where(np.arange(most) < before[:, None], items[at, :most], -1 - np.arange(most))
    seen = np.concatenate([held, proposals], axis=1) if most else proposals
    fresh = allowed & ~_repeated(seen, n_items)[:, most:]
    taken = fresh & (np.cumsum(fresh, axis=1, dtype=np.int32) <= (k - before).astype(np.int32)[:, None])
    count = taken.sum(axis=1)
    found[at] = before + count
    column, drawn = np.arange(k), items[at]
    drawn[(column >= before[:, None]) & (column < found[at, None])] = proposals[taken]
    items[at] = drawn


def _repeated(items: IntArray, n_items: int) -> BoolArray:
    """``[m, j]`` True where the same number stands further left in the row; numbers from -j to ``n_items - 1``."""
    repeated = np.zeros(items.shape, dtype=np.bool_)
    # numbers and columns in one word, so that one plain sort brings equal ones together, leftmost first
    many, bits = items.shape[1], items.shape[1].bit_length()
    words: npt.NDArray[np.int32 | np.int64] = items.astype(
        np.int32 if max(n_items, many) << bits < 1 << 31 else np.int64
    )
    words <<= bits
    words |= np.arange(many, dtype=words.dtype)
    words.sort(axis=1)
    # two neighbours of the same number differ in the bits of the column alone
    at = np.flatnonzero((words[:, 1:] ^ words[:, :-1]).view(f"u{words.itemsize}") < 1 << bits)
    row, place = np.divmod(at, many - 1)
    repeated[row, words[row, place + 1] & ((1 << bits) - 1)] = True
    return repeated


def _finish(
    rng: RowRandom, rows: IntArray, n_items: int, forbidden: Forbidden, items: IntArray, found: IntArray
) -> None:
    """Fills what is missing by putting all allowed items that a row does not hold yet in random order."""
    k = items.shape[1]
    unfinished = np.flatnonzero(found < k)
    step = max(1, _ENTRIES // n_items)
    catalogue = np.arange(n_items, dtype=np.int64)
    for start in range(0, len(unfinished), step):
        at = unfinished[start : start + step]
        free = ~forbidden(at, np.broadcast_to(catalogue, (len(at), n_items)))
        row, column = np.nonzero(np.arange(k) < found[at, None])
        free[row, items[at[row], column]] = False
        keys = np.where(free, rng.uniform(rows[at], n_items), np.inf)
        order = np.argsort(keys, axis=1, kind="stable")
        rest = np.arange(k) - found[at, None]  # which of the ordered items goes to each column
        fits = (rest >= 0) & (rest < free.sum(axis=1)[:, None])
        row, column = np.nonzero(fits)
        items[at[row], column] = order[row, rest[row, column]]
        found[at] += fits.sum(axis=1)


__all__ = ["Forbidden", "draw_distinct"]
