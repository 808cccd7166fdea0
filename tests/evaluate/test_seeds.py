"""Intervals and tests over users and seeds: what they cover on data whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.evaluate.seeds import interval_over_seeds, paired_over_seeds, seed_error
from polo.evaluate.significance import interval, paired

USERS, ROWS = 100, 2
WHOSE = np.repeat(np.arange(USERS), ROWS)


def hits(rng: np.random.Generator, seeds: int, effect: float, latent: np.ndarray | None = None) -> np.ndarray:
    """``[seeds, N]`` hits whose chance is logistic in the user's ease and the seed's effect, both normal."""
    ease = rng.normal(size=USERS) if latent is None else latent
    chance = 1 / (1 + np.exp(-(ease[None] + effect * rng.normal(size=(seeds, 1)))))
    return (rng.random((seeds, USERS * ROWS)) < np.repeat(chance, ROWS, axis=1)).astype(float)


def truth(effect: float) -> float:
    """The mean over all users and seeds: ease + effect is normal with variance 1 + effect^2, integrated by points."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    return float(weights @ (1 / (1 + np.exp(-np.sqrt(1 + effect**2) * nodes))) / weights.sum())


def covered(seeds: int, effect: float, draws: int, together: bool = True, first: int = 0) -> float:
    """Share of the intervals that hold the truth."""
    found = 0
    for number in range(first, first + draws):
        values = hits(np.random.default_rng(number), seeds, effect)
        if together:
            _, low, high = interval_over_seeds(values, WHOSE, 400, seed=number)
        else:
            _, low, high = interval(values.mean(axis=0), WHOSE, 400, seed=number)
        found += low <= truth(effect) <= high
    return found / draws


@pytest.mark.parametrize(("seeds", "effect"), [(2, 0.3), (3, 0.3), (5, 0.3), (3, 0.0)])
def test_the_interval_covers_what_it_says_where_users_alone_would_not(seeds: int, effect: float) -> None:
    """200 draws at 95 %: a share below .905 has a chance of 0.4 %; without the seeds' error it is far below."""
    assert covered(seeds, effect, 200) >= 0.905
    if effect:
        assert covered(seeds, effect, 200, together=False) < 0.85


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2, 3, 5])
@pytest.mark.parametrize("effect", [0.0, 0.1, 0.3])
def test_law_the_interval_covers_93_percent_or_more(seeds: int, effect: float) -> None:
    """2,000 draws: the standard error of a share of .95 is .005."""
    assert covered(seeds, effect, 2000, first=10_000) >= 0.93


@pytest.mark.parametrize("matched", [True, False])
def test_two_systems_that_are_equal_are_told_apart_no_more_often_than_the_level(matched: bool) -> None:
    """300 draws at 5 %: more than 8.5 % has a chance of 0.4 %. The test that knows no seeds says so far more often."""
    together = alone = 0
    for number in range(300):
        rng = np.random.default_rng(number)
        ease = rng.normal(size=USERS)
        a, b = (hits(rng, 3, 0.3, ease) for _ in range(2))
        together += paired_over_seeds(a, b, WHOSE, matched=matched, permutations=400, seed=number).p < 0.05
        alone += paired(a.mean(axis=0), b.mean(axis=0), WHOSE, 400, seed=number).p < 0.05
    assert together / 300 <= 0.085
    assert alone / 300 > 0.15


def test_what_matched_seeds_share_is_no_error() -> None:
    """b is a but for one row of ten; seeds move both alike, so only the matched interval is narrow."""
    values = hits(np.random.default_rng(0), 4, 1.0)
    other = np.where(np.arange(USERS * ROWS) % 10 == 0, 0.0, values)
    near, far = (paired_over_seeds(values, other, WHOSE, matched=matched) for matched in (True, False))
    assert near.difference == pytest.approx(far.difference) == pytest.approx((values - other).mean())
    assert 4 * (near.high - near.low) < far.high - far.low
    assert near.p < 0.05 < far.p


def test_the_seeds_error_by_hand() -> None:
    """Two users of two rows. Seeds' means 1 and 1/4: V = 9/32. Sums 2, 1 and 2, 0 of the users under the seeds: left
    over are +-(1/2 - 3/4) and +-(1 - 3/4), so I = 4 (1/16) / 16 x 2 = 1/32, and e^2 = (9/32 - 1/32) / 2 = 1/8.

    Means 3/4 and 1/4: V = 1/8. Sums 1, 1 and 2, 0: left over are -+1/2 and +-1/2, so I = 4 (1/4) / 16 x 2 = 1/8: no
    more than half of V is taken away, and e^2 = 1/16 / 2.
    """
    assert seed_error([[1, 1, 1, 1], [1, 0, 0, 0]], [1, 1, 2, 2]) == pytest.approx(np.sqrt(1 / 8))
    assert seed_error([[1, 0, 1, 1], [1, 0, 0, 0]], [1, 1, 2, 2]) == pytest.approx(np.sqrt(1 / 32))


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 1)), min_size=2, max_size=25))
def test_law_one_seed_and_equal_seeds_have_the_interval_and_the_test_of_users_alone(
    rows: list[tuple[int, int]],
) -> None:
    users, values = np.array([u for u, _ in rows]), np.array([float(v) for _, v in rows])
    for table in (values[None], np.stack([values, values])):
        assert interval_over_seeds(table, users, 200) == pytest.approx(interval(values, users, 200), nan_ok=True)
        test, own = paired_over_seeds(table, 0 * table, users, permutations=200), paired(values, 0 * values, users, 200)
        assert (test.difference, test.p) == (own.difference, own.p)


def test_what_has_no_form_is_refused() -> None:
    with pytest.raises(ValueError, match="each of at least one seed"):
        interval_over_seeds([1.0, 0.0], [1, 2])
    with pytest.raises(ValueError, match="2 and 1 seeds"):
        paired_over_seeds([[1.0], [0.0]], [[1.0]], [1], matched=True)
