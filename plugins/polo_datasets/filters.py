"""Which events are left out before anything is split: low ratings, and users and items with few. Counts are told."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polo import BoolArray, IntArray


def k_core(user: IntArray, item: IntArray, k: int) -> BoolArray:
    """``[M]`` which events are in the k-core: the largest part in which every user and every item has k events or more.

    Users and items with fewer are taken out in turn until none is left with fewer. There is one such part, so the order
    of the events plays no part. Seidman 1983, doi 10.1016/0378-8733(83)90028-X, for the graph of users and items.

    Args:
        user, item: int64 ``[M]``, numbers from 0, different pairs.
        k: least number of events; 1 keeps all.

    Example (item 2 has one event; without it user 1 has one, and without that item 1):
        >>> k_core(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 0, 2, 0, 1]), 2).tolist()
        [True, True, False, False, True, True]
    """
    kept = np.ones(len(user), np.bool_)
    while True:
        few = np.zeros(len(user), np.bool_)
        for column in (user, item):
            few |= np.bincount(column[kept], minlength=int(column.max(initial=0)) + 1)[column] < k
        if not (few & kept).any():
            return kept
        kept &= ~few


def core_notes(user: IntArray, item: IntArray, kept: BoolArray, k: int) -> Mapping[str, int]:
    """What a k-core left out, in words and numbers."""
    return {
        f"interactions dropped: not in the {k}-core": int((~kept).sum()),
        f"users dropped: not in the {k}-core": len(np.unique(user)) - len(np.unique(user[kept])),
        f"items dropped: not in the {k}-core": len(np.unique(item)) - len(np.unique(item[kept])),
    }
