"""Weighted draws without replacement, for many rows at once. Knows weights and addressed randomness."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from polo import BoolArray, FloatArray, IntArray, RowRandom

#: entries of the largest temporary array; bounds memory, never the result
_ENTRIES: Final = 1 << 20


def draw_weighted(
    rng: RowRandom, rows: IntArray, weight: FloatArray, k: int, forbidden: Callable[[IntArray, IntArray], BoolArray]
) -> tuple[IntArray, BoolArray]:
    """Draws k different items for each row, one after the other, each in proportion to its weight among those left.

    Each row first reads a stream of proposals (drawn in proportion to the weights, forbidden and repeated ones
    skipped, which is the same law); a row that is not done then ranks all items by exponential keys.

    Args:
        rng: randomness addressed by row.
        rows: int64 ``[B]`` row ids.
        weight: float64 ``[items]``, positive.
        k: how many.
        forbidden: ``f(at [m], items [m, j]) -> bool [m, j]`` with positions into ``rows``.

    Returns:
        ``items`` int64 ``[B, k]``, ``valid`` bool ``[B, k]``; valid ones first.
    """
    items = np.zeros((len(rows), k), dtype=np.int64)
    found = np.zeros(len(rows), dtype=np.int64)
    edges = np.cumsum(weight)
    width = 2 * k + 8
    step = max(1, _ENTRIES // width)
    for start in range(0, len(rows), step):
        at = np.arange(start, min(start + step, len(rows)), dtype=np.int64)
        u = rng.child("proposals").uniform(rows[at], width) * edges[-1]
        proposals = np.minimum(np.searchsorted(edges, u, side="right"), len(weight) - 1)
        order = first_of_their_kind(proposals, ~forbidden(at, proposals))
        found[at] = np.minimum((order < k).sum(axis=1), k)
        row, column = np.nonzero(order < k)
        items[at[row], order[row, column]] = proposals[row, column]
    unfinished = np.flatnonzero(found < k)
    step = max(1, _ENTRIES // len(weight))
    for start in range(0, len(unfinished), step):
        _rank_the_rest(rng.child("rest"), rows, weight, forbidden, unfinished[start : start + step], items, found)
    return items, np.arange(k) < found[:, None]


def first_of_their_kind(proposals: IntArray, allowed: BoolArray) -> IntArray:
    """Place of each proposal among the row's allowed, not repeated ones; a large number for the others.

    Example:
        >>> first_of_their_kind(np.array([[7, 7, 2, 5]]), np.array([[True, True, False, True]]))[0].tolist()[::3]
        [0, 1]
    """
    order = np.argsort(proposals, axis=1, kind="stable")
    sorted_ = np.take_along_axis(proposals, order, axis=1)
    repeated = np.zeros_like(allowed)
    np.put_along_axis(repeated, order[:, 1:], sorted_[:, 1:] == sorted_[:, :-1], axis=1)
    fresh = allowed & ~repeated
    return np.where(fresh, np.cumsum(fresh, axis=1) - 1, np.iinfo(np.int64).max)


def _rank_the_rest(
    rng: RowRandom,
    rows: IntArray,
    weight: FloatArray,
    forbidden: Callable[[IntArray, IntArray], BoolArray],
    at: IntArray,
    items: IntArray,
    found: IntArray,
) -> None:
    """Fills what is missing: the items left with the smallest ``exponential / weight`` (Efraimidis & Spirakis 2006)."""
    k = items.shape[1]
    catalogue = np.broadcast_to(np.arange(len(weight)), (len(at), len(weight)))
    free = ~forbidden(at, catalogue)
    row, column = np.nonzero(np.arange(k) < found[at, None])
    free[row, items[at[row], column]] = False
    keys = np.where(free, exponential_keys(rng, rows[at], weight), np.inf)
    order = np.argsort(keys, axis=1, kind="stable")
    rest = np.arange(k) - found[at, None]
    row, column = np.nonzero((rest >= 0) & (rest < free.sum(axis=1)[:, None]))
    items[at[row], column] = order[row, rest[row, column]]
    np.add.at(found, at[row], 1)


def exponential_keys(rng: RowRandom, rows: IntArray, weight: FloatArray) -> FloatArray:
    """Keys ``[B, n]`` in whose order a row draws without replacement; ``weight`` is ``[n]`` or ``[B, n]``."""
    keys: FloatArray = -np.log1p(-rng.uniform(rows, weight.shape[-1])) / weight
    return keys


def log_q(weight: FloatArray, valid: BoolArray, total: FloatArray, allowed: IntArray) -> FloatArray:
    """``log q [B, K]`` of weighted draws in their order, with which counting ``1 / (n q)`` times is unbiased.

    Draw r of n counts ``((n - r) + (W - w_1 - ... - w_(r-1)) / w_r) / n`` times: the mean of the estimators of Des Raj
    (1956) for draws without replacement, ``W / w`` for one draw. Where all allowed items were drawn each counts once.

    Args:
        weight: float64 ``[B, K]`` of the drawn items, positive.
        valid: bool ``[B, K]``, valid ones first.
        total, allowed: ``[B]``, weight and number of the items that the row could have drawn.

    Example (weights 1, 3 of 1, 3, 4: draw 1 counts (1 + 8/1) / 2, draw 2 (0 + 7/3) / 2 times):
        >>> q = np.exp(log_q(np.array([[1.0, 3.0]]), np.array([[True, True]]), np.array([8.0]), np.array([3])))
        >>> [round(float(v), 4) for v in 1 / q[0]]
        [9.0, 2.3333]
    """
    n = valid.sum(axis=1, keepdims=True)
    left = np.maximum(total[:, None] - (np.cumsum(weight, axis=1) - weight), weight)
    times_n = np.maximum(n - 1 - np.arange(weight.shape[1]), 0) + left / weight
    found: FloatArray = -np.log(np.where(n == allowed[:, None], np.maximum(n, 1), times_n))
    return found
