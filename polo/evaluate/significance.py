"""Intervals and tests that are clustered by user, because the rows of one user are not independent.

Knows per-row values and user numbers. Knows no metric and no run.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from polo.data import FloatArray

#: entries of the largest temporary array; bounds memory, never the result
_ENTRIES: Final = 1 << 21
#: two sums of differences that differ by less than this share of all differences count as equal
_ROUNDING: Final = 1e-12


@dataclass(frozen=True)
class Paired:
    """How much better system a is than system b on the same rows.

    Args:
        difference: mean over rows of a - b.
        low, high: 95% bootstrap interval of it, clustered by user (nan with fewer than two users).
        p: two-sided p-value of the sign-flip test.
    """

    difference: float
    low: float
    high: float
    p: float


def interval(
    values: npt.ArrayLike, users: npt.ArrayLike, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over rows and its 95% percentile bootstrap interval, clustered by user.

    A resample draws as many users as there are, with replacement, and takes all rows of each:
    mean* = (sum of values of the drawn users) / (number of their rows). The interval runs from the 2.5th to the 97.5th
    percentile of mean* (Efron & Tibshirani 1993, ch. 13; clusters as in Cameron, Gelbach & Miller 2008).

    Args:
        values: float ``[N]``, a value of each row.
        users: int ``[N]``, the user of each row.
        resamples: how many resamples.
        seed: of the draw; the same seed and data give the same interval.

    Returns:
        ``(mean, low, high)``; ``low`` and ``high`` are nan with fewer than two users, where nothing can be said.

    Raises:
        ValueError: no values, values that are not finite, or shapes that differ.

    Example:
        >>> mean, low, high = interval([1, 0, 1, 1], [7, 7, 8, 9])
        >>> mean, low <= mean <= high
        (0.75, True)
        >>> interval([0.5, 0.5], [1, 2])
        (0.5, 0.5, 0.5)
    """
    sums, counts = by_user(values, users)
    mean = float(sums.sum() / counts.sum())
    if len(sums) < 2:
        return mean, float("nan"), float("nan")
    low, high = np.percentile(resampled_means(sums, counts, resamples, seed), [2.5, 97.5])
    return mean, float(low), float(high)


def resampled_means(sums: FloatArray, counts: FloatArray, resamples: int, seed: int) -> FloatArray:
    """``[resamples]`` mean* of :func:`interval`, of users with these sums and numbers of rows."""
    rng = np.random.Generator(np.random.PCG64(seed))
    means = np.empty(resamples)
    for chunk in _chunks(resamples, len(sums)):
        drawn = rng.integers(0, len(sums), size=(chunk.stop - chunk.start, len(sums)))
        means[chunk] = sums[drawn].sum(axis=1) / counts[drawn].sum(axis=1)
    return means


def paired(
    a: npt.ArrayLike, b: npt.ArrayLike, users: npt.ArrayLike, permutations: int = 10_000, seed: int = 0
) -> Paired:
    """Sign-flip test and interval of the difference of two systems on the same rows, clustered by user.

    If the systems do equally well, each user's summed difference D_u is as likely to have the other sign. The test
    compares |sum_u D_u| with |sum_u s_u D_u| for random signs s:
    p = (1 + number at least as large) / (1 + permutations) (Phipson & Smyth 2010, doi 10.2202/1544-6115.1585).
    Where all 2^users sign patterns are no more than ``permutations``, each is tried once and p is exact:
    (number at least as large) / 2^users.

    Args:
        a, b: float ``[N]``, values of the two systems on each row.
        users: int ``[N]``.
        permutations: how many sign patterns; also the number of resamples of the interval.
        seed: of both draws.

    Raises:
        ValueError: as :func:`interval`.

    Example:
        >>> test = paired([1, 1, 1, 1], [0, 0, 0, 1], users=[1, 2, 3, 4])
        >>> test.difference, test.p
        (0.75, 0.25)
    """
    difference = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    mean, low, high = interval(difference, users, permutations, seed)
    sums, _ = by_user(difference, users)
    return Paired(mean, low, high, sign_flip(sums, permutations, seed))


def sign_flip(sums: FloatArray, permutations: int, seed: int, noise: FloatArray | None = None) -> float:
    """The two-sided p-value of :func:`paired` for the summed differences of users.

    Args:
        noise: ``[permutations]``, added to the sum of each sign pattern: an error that is not of users. No pattern is
            left out then, and p is never exact.
    """
    sums = sums[sums != 0]  # a zero stays zero under either sign
    if not len(sums):
        return 1.0
    reached = abs(sums.sum()) - _ROUNDING * np.abs(sums).sum()
    if noise is None and 2 ** min(len(sums), 62) <= permutations:
        patterns = np.arange(2 ** len(sums))[:, None] >> np.arange(len(sums)) & 1
        return float(np.mean(np.abs((1 - 2 * patterns) @ sums) >= reached))
    rng = np.random.Generator(np.random.PCG64(seed))
    larger = 0
    for chunk in _chunks(permutations, len(sums)):
        signs = 1 - 2 * rng.integers(0, 2, size=(chunk.stop - chunk.start, len(sums)), dtype=np.int8).astype(np.float64)
        flipped = signs @ sums + (0.0 if noise is None else noise[chunk])
        larger += int((np.abs(flipped) >= reached).sum())
    return (1 + larger) / (1 + permutations)


def holm(p_values: Sequence[float]) -> list[float]:
    """p-values adjusted for m tests, so that the chance of any false alarm stays below the level.

    Sorted p_(1) <= ... <= p_(m): adjusted p_(i) = max over j <= i of min(1, (m - j + 1) p_(j)) (Holm 1979).

    Example:
        >>> holm([0.01, 0.04, 0.03])
        [0.03, 0.06, 0.06]
    """
    p = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.minimum(1.0, p[order] * (len(p) - np.arange(len(p))))
    adjusted = np.empty(len(p))
    adjusted[order] = np.maximum.accumulate(steps)
    return [float(value) for value in adjusted]


def by_user(values: npt.ArrayLike, users: npt.ArrayLike) -> tuple[FloatArray, FloatArray]:
    """Sum of values and number of rows of each user, in the order of user numbers."""
    flat, owner = np.asarray(values, dtype=np.float64), np.asarray(users)
    if flat.ndim != 1 or flat.shape != owner.shape or not len(flat):
        raise ValueError(f"one value and one user for each of at least one row, not {flat.shape} and {owner.shape}")
    if not np.isfinite(flat).all():
        raise ValueError(f"value of row {int(np.flatnonzero(~np.isfinite(flat))[0])} is not finite")
    _, index = np.unique(owner, return_inverse=True)
    return np.bincount(index, flat).astype(np.float64), np.bincount(index).astype(np.float64)


def _chunks(total: int, width: int) -> Iterator[slice]:
    """Slices of ``range(total)`` such that ``slice length * width`` stays bounded."""
    step = max(1, _ENTRIES // width)
    for start in range(0, total, step):
        yield slice(start, min(start + step, total))
