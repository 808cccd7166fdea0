"""Intervals and tests over users and seeds together: what another seed and other users would give.

Knows values of rows by seed, and user numbers. Knows no metric and no run.

A mean over S seeds has two errors: that of the users at hand and that of the seeds at hand. Users are drawn anew as in
``polo.evaluate.significance``, with the means over seeds as values; that error holds what users and seeds do together,
divided by S. To each draw an error of the seeds is added, e t with t from Student's distribution of S - 1 degrees of
freedom:

    e^2 = max(V - I, V / 2) / S
    V   = sum_s (m_s - m)^2 / (S - 1)                                    m_s: mean of seed s, m: mean of these
    I   = U / (U - 1) sum_us (x_us - x_u - c_u (m_s - m))^2 / ((S - 1) N^2)

where x_us is user u's sum under seed s, x_u its mean over seeds, c_u the user's rows, N all rows and U all users. V is
what seeds' means differ by; I is the part of it that users would have brought about if seeds had no effect of their
own, and is in the first error already (the variance components of two crossed factors, Searle, Casella & McCulloch
1992, ch. 4). No more than half of V is taken away: V of few seeds is small by chance often, and then V - I says that
there is no error. On made-up hits of 100 and 400 users this covers .94 to .995 where 95 % is meant, for 2, 3 and 5
seeds of no to large effect; V - I alone .88 to .97 with two seeds, and a bootstrap that draws seeds as it draws users
.80: of two seeds it takes one twice half of the time.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from polo.data import FloatArray
from polo.evaluate.significance import Paired, by_user, interval, paired, resampled_means, sign_flip


def interval_over_seeds(
    values: npt.ArrayLike, users: npt.ArrayLike, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Mean over rows and seeds, and its 95 % interval over users and seeds; with one seed, over users alone.

    Args:
        values: float ``[S, N]``, a value of each row under each seed.
        users: int ``[N]``, the user of each row.
        resamples, seed: of the draw.

    Returns:
        ``(mean, low, high)``; ``low`` and ``high`` are nan with fewer than two users.

    Raises:
        ValueError: no values, values that are not finite, or shapes that differ.

    Example:
        >>> mean, low, high = interval_over_seeds([[1, 0, 1, 1], [1, 0, 0, 1]], [7, 7, 8, 9])
        >>> mean, low < mean < high
        (0.625, True)
        >>> interval_over_seeds([[1, 0, 1, 1]], [7, 7, 8, 9]) == interval([1, 0, 1, 1], [7, 7, 8, 9])
        True
    """
    table = _table(values)
    mean, low, high = interval(table.mean(axis=0), users, resamples, seed)
    error = seed_error(table, users)
    if not error or math.isnan(low):
        return mean, low, high
    drawn = resampled_means(*by_user(table.mean(axis=0), users), resamples, seed) + _errors(
        [table], users, resamples, seed
    )
    low, high = np.percentile(drawn, [2.5, 97.5])
    return mean, float(low), float(high)


def paired_over_seeds(
    a: npt.ArrayLike,
    b: npt.ArrayLike,
    users: npt.ArrayLike,
    *,
    matched: bool = False,
    permutations: int = 10_000,
    seed: int = 0,
) -> Paired:
    """How much better system a is than system b on the same rows, over users and seeds together.

    Args:
        a, b: float ``[S, N]`` and ``[T, N]``, values of the two systems on each row under each of their seeds.
        users: int ``[N]``.
        matched: seed s of a belongs to seed s of b (S = T), so that what they share, such as a stage, is no error.
        permutations, seed: as of :func:`polo.evaluate.significance.paired`.

    Raises:
        ValueError: as :func:`interval_over_seeds`, or ``matched`` with other numbers of seeds.

    Example:
        >>> test = paired_over_seeds([[1, 1, 1, 1]], [[0, 0, 0, 1]], users=[1, 2, 3, 4])
        >>> test.difference, test.p
        (0.75, 0.25)
    """
    tables = [_table(a), _table(b)]
    difference = tables[0].mean(axis=0) - tables[1].mean(axis=0)
    if matched:
        if len(tables[0]) != len(tables[1]):
            raise ValueError(f"{len(tables[0])} and {len(tables[1])} seeds do not belong together")
        tables = [tables[0] - tables[1]]
    plain = paired(difference, np.zeros_like(difference), users, permutations, seed)
    if math.isnan(plain.low) or not any(seed_error(table, users) for table in tables):
        return plain
    sums, counts = by_user(difference, users)
    errors = _errors(tables, users, permutations, seed)
    low, high = np.percentile(resampled_means(sums, counts, permutations, seed) + errors, [2.5, 97.5])
    p = sign_flip(sums, permutations, seed, errors * counts.sum())
    return Paired(plain.difference, float(low), float(high), p)


def seed_error(values: npt.ArrayLike, users: npt.ArrayLike) -> float:
    """e of this module: the standard error that the seeds at hand bring to the mean; 0 with one seed or one user.

    Args:
        values: float ``[S, N]``.
        users: int ``[N]``.

    Example:
        >>> seed_error([[1.0, 1.0], [0.0, 0.0]], [1, 2])  # V = 1/2, users agree: sqrt(1/2 / 2)
        0.5
        >>> seed_error([[1.0, 0.0], [0.0, 1.0]], [1, 2])  # the seeds' means are equal
        0.0
    """
    table = _table(values)
    sums = np.stack([by_user(row, users)[0] for row in table])
    counts = by_user(table[0], users)[1]
    (s, u), n = sums.shape, counts.sum()
    if s < 2 or u < 2:
        return 0.0
    apart = sums.sum(axis=1) / n
    apart -= apart.mean()
    left = sums - sums.mean(axis=0) - counts * apart[:, None]
    between, together = float((apart**2).sum()) / (s - 1), float((left**2).sum()) / ((s - 1) * n**2) * u / (u - 1)
    return math.sqrt(max(between - together, between / 2) / s)


def _errors(tables: list[FloatArray], users: npt.ArrayLike, draws: int, seed: int) -> FloatArray:
    """``[draws]`` errors of all seeds together, drawn apart from the users."""
    rng = np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, 1])))
    total = np.zeros(draws)
    for table in tables:
        if len(table) > 1:
            total += seed_error(table, users) * rng.standard_t(len(table) - 1, size=draws)
    return total


def _table(values: npt.ArrayLike) -> FloatArray:
    table = np.asarray(values, dtype=np.float64)
    if table.ndim != 2 or not len(table):
        raise ValueError(f"a row of values for each of at least one seed, not {table.shape}")
    return table
