"""Coverage, popularity lift, implicit reward and generated titles: by hand, and as laws."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Context, Ranked, Rows
from polo_metrics.catalogue import Coverage, PopularityLift, top_probability
from polo_metrics.options import AtK
from polo_metrics.policy import Reward, ValidRatio
from tests.toy_splits import splits_of

N_ITEMS = 7
SCORES = st.lists(st.lists(st.integers(0, 3), min_size=4, max_size=4), min_size=1, max_size=6)


def context() -> Context:
    return Context(seed=0, cache=Path(), build=lambda choice: None, splits=splits_of([[0, 1, 2], [0, 1], [0]], N_ITEMS))


def ranked(scores: list[list[float]], seed: int = 0) -> Ranked:
    rng = np.random.default_rng(seed)
    table = np.array(scores, np.float64)
    lists = np.array([rng.choice(N_ITEMS, table.shape[1], replace=False) for _ in scores])
    n = np.arange(len(scores))
    rows = Rows(n, n, np.zeros((len(n), 1), np.int64), lists[n, rng.integers(0, table.shape[1], len(n))], lists)
    return Ranked.of(rows, table)


@given(SCORES, st.integers(1, 4))
def test_law_the_probabilities_of_the_first_k_sum_to_k(scores: list[list[int]], k: int) -> None:
    p = top_probability(np.array(scores, np.float64), k)
    assert p.sum(axis=1) == pytest.approx(k)
    assert ((p >= 0) & (p <= 1)).all()


@settings(max_examples=30)
@given(SCORES, st.integers(0, 6), st.integers(0, 100))
def test_law_coverage_of_shards_merges_to_that_of_the_whole(scores: list[list[int]], cut: int, seed: int) -> None:
    coverage = Coverage(AtK(k=(1, 3)), context())
    whole = ranked(scores, seed)
    cut = min(cut, len(scores))
    shards = [part for part in (slice(0, cut), slice(cut, len(scores))) if len(whole.rows[part])]
    parts = [coverage.totals(Ranked.of(whole.rows[part], whole.scores[part])) for part in shards]
    merged = {name: sum(part[name] for part in parts) for name in parts[0]}
    assert coverage.figures(merged) == pytest.approx(coverage.figures(coverage.totals(whole)))


def test_coverage_of_one_row_without_ties() -> None:
    """The first 1 of 7 items, the first 3 of 7."""
    figures = Coverage(AtK(k=(1, 3)), context()).figures(
        Coverage(AtK(k=(1, 3)), context()).totals(ranked([[4, 3, 2, 1]]))
    )
    assert figures == pytest.approx({"coverage@1": 1 / 7, "coverage@3": 3 / 7})


def test_recommending_what_was_chosen_lifts_nothing() -> None:
    one = ranked([[0, 0, 0, 0]])
    perfect = Ranked.of(one.rows, (one.rows.candidates == one.rows.target[:, None]).astype(np.float64))
    assert PopularityLift(AtK(k=(1,)), context()).per_row(perfect)["popularity_lift@1"].tolist() == [0.0]


def test_popularity_lift_by_hand() -> None:
    """Items 0, 1 occur 3 and 2 times: recommending 0 where 1 was chosen is log(4) - log(3)."""
    rows = Rows(np.arange(1), np.arange(1), np.zeros((1, 1), np.int64), np.array([1]), np.array([[0, 1]]))
    lift = PopularityLift(AtK(k=(1,)), context()).per_row(Ranked.of(rows, np.array([[1.0, 0.0]])))
    assert lift["popularity_lift@1"] == pytest.approx(np.log(4 / 3))


def test_reward_by_hand() -> None:
    """Rewards 2, 0 and 2 beside the target's 1: one of three is lower; margin 1 - 4/3."""
    rows = Rows(np.arange(1), np.arange(1), np.zeros((1, 1), np.int64), np.array([3]), np.array([[0, 1, 2, 3]]))
    found = Reward(None, context()).per_row(
        replace(Ranked.of(rows, np.array([[3.0, 1.0, 2.0, 1.0]])), reference=np.array([[1.0, 1.0, 0.0, 0.0]]))
    )
    assert found["reward_accuracy"] == pytest.approx(1 / 3)
    assert found["reward_margin"] == pytest.approx(1 - 4 / 3)


@pytest.mark.parametrize(
    ("text", "valid", "hit"), [("it is 3!", 1, 1), ("2", 1, 0), ("2 or 3", 0, 0), ("5", 0, 0), ("", 0, 0)]
)
def test_a_completion_is_valid_if_it_names_exactly_one_candidate(text: str, valid: float, hit: float) -> None:
    rows = Rows(np.arange(1), np.arange(1), np.zeros((1, 1), np.int64), np.array([3]), np.array([[2, 3]]))
    found = ValidRatio(None, context()).per_row(replace(Ranked.of(rows, np.zeros((1, 2))), generated=[text]))
    assert (found["valid_ratio"][0], found["generated_hit_ratio@1"][0]) == (valid, hit)
