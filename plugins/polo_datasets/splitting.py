"""Rules that put events into training, validation and test: by two cuts in time, or by chance. Knows no file."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import numpy.typing as npt

from polo import FloatArray, InputError, IntArray, RowRandom
from polo_datasets.events import TEST, TRAIN, VALID


@dataclass(frozen=True)
class Cuts:
    """Two moments: training is before ``valid``, validation from there to before ``test``, test from there on."""

    valid: float
    test: float

    def __str__(self) -> str:
        return f"validation from {self.valid:.12g}, test from {self.test:.12g}"


def cuts(time: FloatArray, valid_share: float, test_share: float) -> Cuts:
    """The moments from which on (about) these shares of the last events are validation and test.

    Events of one moment are never parted: those at a cut belong to the later part.

    Args:
        time: float64 ``[M]``, in any order.
        valid_share, test_share: shares of all events.

    Raises:
        InputError: so many events share a moment that one of the three parts would be empty.

    Example:
        >>> str(cuts(np.arange(10.0), 0.2, 0.1))
        'validation from 7, test from 9'
    """
    in_order, count = np.sort(time), len(time)
    last = count - 1
    test = in_order[min(last, round((1 - test_share) * count))]
    valid = in_order[min(last, round((1 - test_share - valid_share) * count))]
    if not in_order[0] < valid < test:
        raise InputError(
            f"no cut in time leaves three parts: {valid_share:g} of the events for validation and {test_share:g} for "
            f"test would begin at the times {valid:.12g} and {test:.12g}, and the first event is at {in_order[0]:.12g}",
            where="data.split",
            fix="choose other shares (data.valid_share, data.test_share), give finer times, or split: ratio",
        )
    return Cuts(float(valid), float(test))


def by_time(time: FloatArray, at: Cuts) -> IntArray:
    """int64 ``[M]``: the part of each event. Nothing that happened at or after a cut is in an earlier part."""
    return (time >= at.valid).astype(np.int64) + (time >= at.test)


def by_ratio(
    user: IntArray,
    item: IntArray,
    *,
    valid_share: float,
    test_share: float,
    share_of: Literal["user", "all"],
    seed: int,
) -> IntArray:
    """int64 ``[M]``: the part of each event, by chance; a function of (seed, user, item), not of the events' order.

    ``user``: of each user's n events ``ceil(test_share n)`` are test and ``ceil(valid_share n)`` validation, but at
    least one stays in training (a user with one event has that alone, one with two also a test event). ``all``: the
    same shares of all events, whoever has them.

    Args:
        user, item: int64 ``[M]``, different pairs.
        valid_share, test_share: shares of events; 0 for a part that stays empty.
        share_of: what the shares are of.
        seed: of the draw.

    Example:
        >>> part = by_ratio(np.zeros(10, int), np.arange(10), valid_share=0.1, test_share=0.2, share_of="user", seed=0)
        >>> np.bincount(part).tolist()
        [7, 1, 2]
    """
    n_items = int(item.max(initial=0)) + 1
    keys = RowRandom(seed, "split by ratio").uniform(user * n_items + item, 1)[:, 0]
    group = user if share_of == "user" else np.zeros_like(user)
    order = np.lexsort((item, user, keys, group))
    _, start, count = np.unique(group[order], return_index=True, return_counts=True)
    test = np.minimum(_up(test_share * count), count - 1)
    valid = np.minimum(_up(valid_share * count), count - 1 - test)
    place = np.arange(len(user)) - np.repeat(start, count)
    test, valid = np.repeat(test, count), np.repeat(valid, count)
    part = np.full(len(user), TRAIN, np.int64)
    part[order] = np.where(place < test, TEST, np.where(place < test + valid, VALID, TRAIN))
    return part


def _up(count: npt.NDArray[np.floating]) -> IntArray:
    """Rounded up, but for what is a whole number up to rounding (0.1 of 30)."""
    whole: IntArray = np.ceil(count - 1e-9).astype(np.int64)
    return whole
