"""How item vectors lie: against what every pair says, item by item."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import polo.evaluate.geometry as module
from polo import PAD, Sequences
from polo.evaluate.geometry import look, nearest, taken_together

seeds = st.integers(0, 2**32 - 1)


def world(seed: int, n: int = 20) -> tuple[np.ndarray, Sequences]:
    rng = np.random.default_rng(seed)
    lists = [rng.choice(n - 3, size=rng.integers(1, 6), replace=False).tolist() for _ in range(10)]
    return rng.normal(size=(n, 4)), Sequences.of(range(10), lists)


def cosines(columns: np.ndarray) -> np.ndarray:
    size = np.linalg.norm(columns, axis=1)
    found = columns @ columns.T / np.maximum(np.outer(size, size), 1e-300)
    np.fill_diagonal(found, -np.inf)
    return found


@given(seeds)
def test_law_nearest_items_are_those_of_the_whole_matrix(seed: int) -> None:
    x, sequences = world(seed)
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    near, cosine = nearest(unit, np.ones(20, bool), 3)
    whole = cosines(x)
    np.testing.assert_allclose(cosine, -np.sort(-whole, axis=1)[:, :3])
    np.testing.assert_allclose(np.take_along_axis(whole, near, axis=1), cosine)
    holds = np.zeros((20, 10))
    for s in range(10):
        holds[sequences[s], s] = 1
    shared = cosines(holds)
    taken = taken_together(sequences, 20, 3)
    for item in range(20):
        best = -np.sort(-shared[item])[:3]
        np.testing.assert_allclose(shared[item, taken[item][taken[item] != PAD]], best[best > 0])


@given(seeds, st.floats(0.01, 100))
def test_law_one_length_for_all_changes_no_angle(seed: int, scale: float) -> None:
    x, sequences = world(seed)
    one, other = look(x, sequences, 3), look(x * scale, sequences, 3)
    assert other.agreement == one.agreement
    assert other.crowding == pytest.approx(one.crowding)
    np.testing.assert_allclose(other.lengths, one.lengths * scale)
    assert other.disparity == pytest.approx(one.disparity)


def test_law_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x, sequences = world(0)
    whole = look(x, sequences, 3)
    monkeypatch.setattr(module, "_BLOCK", 40)
    parts = look(x, sequences, 3)
    assert (parts.crowding, parts.agreement) == (pytest.approx(whole.crowding), whole.agreement)


def test_vectors_of_who_took_what_agree_wholly_and_those_turned_away_do_not() -> None:
    """Items 0, 1 and 2, 3 are taken in pairs. Vectors that pair them agree; 0, 2 and 1, 3 paired, none does."""
    sequences = Sequences.of([0, 1], [[0, 1], [2, 3]])
    pairs = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 1.0], [0.1, 1.0]])
    assert look(pairs, sequences, 1).agreement == 1.0
    assert look(pairs[[0, 2, 1, 3]], sequences, 1).agreement == 0.0


def test_items_without_a_length_or_a_companion_play_no_part() -> None:
    x = np.array([[1.0, 0.0], [1.0, 0.1], [0.0, 0.0], [0.0, 1.0]])
    seen = look(x, Sequences.of([0, 1], [[0, 1], [3]]), 1)
    assert seen.agreement == 1.0
    assert look(x[[0, 2, 2, 3]], Sequences.of([0], [[0, 3]]), 1).disparity == float("inf")
    assert look(np.zeros((4, 2)), Sequences.of([0], [[0, 1]]), 1).crowding == 0.0
    assert look(x, Sequences.of([], []), 9).agreement == 0.0


def test_identical_bundles_are_crowded() -> None:
    x = np.repeat(np.eye(3), 4, axis=0)
    assert look(x, Sequences.of([0], [[0, 1]]), 3).crowding == pytest.approx(1.0)
