"""The spectrum by Lanczos against the dense matrix, and condition numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo.evaluate.curvature import FLOOR, condition, products, spectrum

seeds = st.integers(0, 2**32 - 1)


def dense(items: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Eigenvalues of sum_i pi_i e_i e_i^T - m m^T, largest first."""
    scores = items @ row
    pi = np.exp(scores - scores.max())
    pi /= pi.sum()
    mean = pi @ items
    return np.linalg.eigvalsh((items.T * pi) @ items - np.outer(mean, mean))[::-1]


def world(seed: int, n: int = 40, d: int = 9, spread: float = 3.0) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.normal(size=(n, d)) * np.geomspace(spread, 1 / spread, d), rng.normal(size=d) * 0.3


@given(seeds, st.integers(2, 60), st.integers(1, 12))
def test_law_with_as_many_steps_as_dimensions_it_is_the_dense_spectrum(seed: int, n: int, d: int) -> None:
    items, row = world(seed, n, d)
    wanted = np.maximum(dense(items, row), 0.0)
    np.testing.assert_allclose(spectrum(items, row), wanted, atol=1e-9 * max(wanted[0], 1e-300) + 1e-14)


@given(seeds)
def test_law_eigenvalues_of_several_directions_are_all_found(seed: int) -> None:
    """The corners of a cube, equally likely: variance 1 in every direction, which Lanczos alone sees once."""
    corners = np.array(np.meshgrid(*[[-1.0, 1.0]] * 4)).reshape(4, -1).T
    turn = np.linalg.qr(np.random.default_rng(seed).normal(size=(4, 4)))[0]
    np.testing.assert_allclose(spectrum(corners @ turn, np.zeros(4)), np.ones(4), atol=1e-9)


@given(seeds)
def test_law_fewer_steps_bound_the_spectrum_from_within(seed: int) -> None:
    items, row = world(seed, d=30)
    whole, part = dense(items, row), spectrum(items, row, steps=12)
    assert len(part) == 12
    assert part[0] <= whole[0] * (1 + 1e-9)
    assert part[-1] >= whole[-1] * (1 - 1e-9) - 1e-12
    assert part[0] == pytest.approx(whole[0], rel=0.05)


@given(seeds, st.floats(0.05, 20))
def test_law_a_temperature_in_the_items_scales_the_spectrum_and_no_condition(seed: int, t: float) -> None:
    items, row = world(seed)
    one, other = spectrum(items, row), spectrum(items / t, row * t)
    np.testing.assert_allclose(other, one / t**2, rtol=1e-6, atol=1e-12 * one[0] / t**2)


def test_the_hessian_is_that_of_the_loss() -> None:
    """Second differences of log sum exp <e_i, h> along the axes."""
    items, row = world(1, n=12, d=3)
    step, eye = 1e-4, np.eye(3)

    def loss(h: np.ndarray) -> float:
        return float(np.log(np.exp(items @ h).sum()))

    numeric = np.array([
        [(loss(row + step * (a + b)) - loss(row + step * (a - b)) - loss(row - step * (a - b))
          + loss(row - step * (a + b))) / (4 * step**2) for b in eye]
        for a in eye
    ])  # fmt: skip
    np.testing.assert_allclose(np.linalg.eigvalsh(numeric)[::-1], spectrum(items, row), rtol=1e-4, atol=1e-5)


def test_numbers_that_are_easy_to_make_large_are_no_trouble() -> None:
    items, row = world(2)
    assert np.isfinite(spectrum(items, row * 1e4)).all()
    pi, _ = products(items, row * 1e4)
    assert pi.sum() == pytest.approx(1.0)
    assert not spectrum(np.zeros((4, 3)), np.zeros(3)).any()


def test_condition_is_bounded_where_a_direction_has_no_curvature() -> None:
    assert condition(np.array([2.0, 0.0])) == pytest.approx(1 / FLOOR)
    assert condition(np.zeros(2)) == 1.0
    assert condition(np.array([8.0, 2.0])) == 4.0
