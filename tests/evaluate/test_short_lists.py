"""Lists of unlike lengths: what is padded is never ranked, and scores at padded places mean nothing."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, Ranked, Rows
from polo.evaluate.metrics import System
from polo_metrics.policy import Reward

LISTS = np.array([[4, 1, 2], [5, 3, PAD], [6, PAD, PAD]])
ROWS = Rows(np.arange(3), np.arange(3), np.empty((3, 0), np.int64), LISTS[:, 0].copy(), LISTS)
#: the padded places score best
SCORES = np.array([[2.0, 1.0, 3.0], [2.0, 1.0, 9.0], [2.0, 9.0, 9.0]])


def test_a_padded_place_is_not_ranked() -> None:
    ranked = Ranked.of(ROWS, SCORES)
    assert ranked.above.tolist() == [1, 0, 0]
    assert ranked.length.tolist() == [3, 2, 1]
    assert ranked.accuracy().tolist() == [0.5, 1.0, 1.0]
    assert ranked.negatives.tolist() == [[False, True, True], [False, True, False], [False, False, False]]


def test_the_best_of_a_row_are_its_own() -> None:
    items, shares = System("s", SCORES).best(ROWS, 1)
    assert items.tolist() == [5, 3]
    assert shares.sum() == 1.0


def test_rewards_of_padded_places_count_for_nothing() -> None:
    """Row 0: 2 - (1 + 3)/2 = 0, one of two below; row 1: 2 - 1 = 1; row 2 has nothing to be compared with."""
    found = Reward(None, None).per_row(Ranked.of(ROWS, SCORES, np.zeros((3, 3))))  # type: ignore[arg-type]
    assert found["reward_margin"].tolist() == [0.0, 1.0, 0.0]
    assert found["reward_accuracy"].tolist() == [0.5, 1.0, 1.0]


@given(st.lists(st.floats(-50, 50), min_size=9, max_size=9))
def test_law_scores_at_padded_places_change_nothing(values: list[float]) -> None:
    scores = np.array(values).reshape(3, 3)
    other = np.where(LISTS == PAD, 1e6, scores)
    a, b = Ranked.of(ROWS, scores), Ranked.of(ROWS, other)
    assert np.array_equal(a.above, b.above)
    assert np.array_equal(a.tied, b.tied)
    assert np.array_equal(a.scores, b.scores)
