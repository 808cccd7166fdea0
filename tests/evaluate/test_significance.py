"""Intervals and tests clustered by user."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest

from polo.evaluate.significance import holm, interval, paired

ROWS = st.lists(st.tuples(st.integers(0, 5), st.integers(-8, 8)), min_size=2, max_size=25)


def columns(rows: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([u for u, _ in rows]), np.array([v for _, v in rows], dtype=float)


@given(ROWS, st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(rows: list[tuple[int, int]], random: object) -> None:
    users, values = columns(rows)
    order = np.array(sorted(range(len(rows)), key=lambda _: random.random()))  # type: ignore[attr-defined]
    assert interval(values, users, 200) == pytest.approx(interval(values[order], users[order], 200), nan_ok=True)
    a, b = (paired(v, np.zeros(len(v)), u, 200) for u, v in ((users, values), (users[order], values[order])))
    assert a.p == b.p
    assert a.difference == pytest.approx(b.difference)


@given(ROWS)
def test_the_interval_holds_the_mean_of_the_rows_and_stays_among_the_means_of_users(
    rows: list[tuple[int, int]],
) -> None:
    users, values = columns(rows)
    mean, low, high = interval(values, users, 500)
    assert mean == pytest.approx(values.mean())
    if len(set(users)) == 1:
        assert np.isnan([low, high]).all()
    else:
        own = [values[users == u].mean() for u in set(users)]
        assert min(own) - 1e-9 <= low <= high <= max(own) + 1e-9


def test_a_resample_takes_users_whole() -> None:
    # user 0 has one row of 1, user 1 has three rows of 0: resampled means can only be 1, 1/4 and 0
    _, low, high = interval([1, 0, 0, 0], [0, 1, 1, 1])
    assert (low, high) == (0.0, 1.0)


def test_clusters_widen_the_interval_as_they_should() -> None:
    # 100 users with 16 equal rows each: the error is that of 100 values, four times that of 1,600
    own = np.random.default_rng(0).normal(size=100)
    values, users = np.repeat(own, 16), np.repeat(np.arange(100), 16)
    _, low, high = interval(values, users)
    assert (high - low) / 2 == pytest.approx(1.96 * own.std() / 10, rel=0.08)
    _, row_low, row_high = interval(values, np.arange(1600))
    assert (high - low) / (row_high - row_low) == pytest.approx(4, rel=0.1)


@settings(max_examples=30)
@given(st.lists(st.integers(-5, 5), min_size=1, max_size=9))
def test_few_users_get_the_exact_p_value(sums: list[int]) -> None:
    observed = abs(sum(sums))
    flips = [abs(sum(s * d for s, d in zip(signs, sums, strict=True))) for signs in product((1, -1), repeat=len(sums))]
    exact = sum(flip >= observed for flip in flips) / len(flips)
    assert paired(sums, [0] * len(sums), range(len(sums)), 1000).p == pytest.approx(exact)


def test_drawn_signs_come_near_the_exact_p_value() -> None:
    sums = np.random.default_rng(1).normal(0.1, 1, size=12)
    exact = paired(sums, np.zeros(12), np.arange(12), 4096).p
    drawn = paired(sums, np.zeros(12), np.arange(12), 4095).p
    assert 0.01 < exact < 0.5
    assert drawn == pytest.approx(exact, abs=4 * (exact * (1 - exact) / 4095) ** 0.5)


@given(ROWS)
def test_swapping_the_systems_turns_the_sign_and_keeps_the_p_value(rows: list[tuple[int, int]]) -> None:
    users, values = columns(rows)
    zeros = np.zeros(len(values))
    a, b = paired(values, zeros, users, 300), paired(zeros, values, users, 300)
    assert (a.p, a.difference) == (b.p, -b.difference)
    assert (a.low, a.high) == pytest.approx((-b.high, -b.low), nan_ok=True)


@given(ROWS, st.sampled_from([0.25, 3.0, 1e-6]))
def test_the_p_value_has_no_unit(rows: list[tuple[int, int]], unit: float) -> None:
    users, values = columns(rows)
    zeros = np.zeros(len(values))
    assert paired(values * unit, zeros, users, 300).p == paired(values, zeros, users, 300).p


def test_equal_systems_have_p_one() -> None:
    assert paired([1, 0, 1], [1, 0, 1], [1, 2, 3]).p == 1.0


def test_p_values_of_equal_systems_are_uniform() -> None:
    rng = np.random.default_rng(5)
    users = np.repeat(np.arange(15), 3)
    p = [paired(rng.normal(size=45), rng.normal(size=45), users, 400, seed=i).p for i in range(300)]
    assert kstest(p, "uniform").pvalue > 1e-3


def test_correlated_rows_of_a_user_do_not_make_a_false_alarm() -> None:
    # ten users, a hundred copies of one row each: as if there were ten rows
    rng = np.random.default_rng(6)
    d = rng.normal(size=10)
    copied = paired(np.repeat(d, 100), np.zeros(1000), np.repeat(np.arange(10), 100))
    single = paired(d, np.zeros(10), np.arange(10))
    assert copied.p == single.p > 0.01


def test_a_plain_difference_is_found() -> None:
    test = paired(np.ones(40), np.zeros(40), np.arange(40))
    assert (test.difference, test.low, test.high) == (1, 1, 1)
    assert test.p == pytest.approx(1 / 10_001)


@given(st.lists(st.floats(0, 1), max_size=8))
def test_holm_lies_between_the_p_value_and_bonferroni_and_keeps_their_order(p: list[float]) -> None:
    adjusted = holm(p)
    assert all(a <= b <= min(1.0, a * len(p)) + 1e-12 for a, b in zip(p, adjusted, strict=True))
    for i, j in product(range(len(p)), repeat=2):
        assert p[i] > p[j] or adjusted[i] <= adjusted[j]


@pytest.mark.parametrize(("values", "users"), [([], []), ([1.0, 2.0], [1]), ([float("nan")], [1]), ([[1.0]], [[1]])])
def test_what_has_no_mean_is_refused(values: list, users: list) -> None:
    with pytest.raises(ValueError, match=r"row|value"):
        interval(values, users)
