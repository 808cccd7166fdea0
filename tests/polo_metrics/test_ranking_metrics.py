"""Ranking metrics: their values with and without ties."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Ranked, Rows
from polo_metrics.options import AtK
from polo_metrics.ranking import MRR, NDCG, HitRatio, Recall

K = (1, 2, 3, 5, 10)


def ranked(scores: np.ndarray, truth: np.ndarray) -> Ranked:
    n, width = scores.shape
    candidates = np.broadcast_to(np.arange(width), (n, width)).copy()
    rows = Rows(np.arange(n), np.arange(n), np.full((n, 1), -1), truth, candidates)
    return Ranked.of(rows, scores)


def metrics(scores: np.ndarray, truth: np.ndarray) -> dict[str, np.ndarray]:
    options = AtK(k=K)
    made = ranked(scores, truth)
    out: dict[str, np.ndarray] = {}
    for evaluator in (HitRatio(options, None), Recall(options, None), NDCG(options, None), MRR(None, None)):
        out |= evaluator.per_row(made)
    return out


def by_hand(scores: list[float], truth: int) -> dict[str, float]:
    """Mean over all orders of the items that respect the scores."""
    orders = [
        order for order in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    ranks = np.array([order.index(truth) + 1 for order in orders])
    out = {"mrr": float(np.mean(1 / ranks))}
    for k in K:
        out[f"hit_ratio@{k}"] = out[f"recall@{k}"] = float(np.mean(ranks <= k))
        out[f"ndcg@{k}"] = float(np.mean((ranks <= k) / np.log2(1 + ranks)))
    return out


@settings(max_examples=40)
@given(st.lists(st.integers(0, 3), min_size=2, max_size=6), st.data())
def test_ties_count_as_the_mean_over_all_orders(scores: list[int], data: st.DataObject) -> None:
    truth = data.draw(st.integers(0, len(scores) - 1))
    got = metrics(np.array([scores], float), np.array([truth]))
    assert {name: values[0] for name, values in got.items()} == pytest.approx(by_hand(scores, truth))


@given(st.integers(2, 30), st.integers(0, 5))
def test_a_perfect_ranking_earns_one_in_every_metric(width: int, seed: int) -> None:
    scores = np.random.default_rng(seed).random((6, width))
    assert all((values == 1).all() for values in metrics(scores, scores.argmax(axis=1)).values())


@given(st.integers(2, 30))
def test_scoring_everything_alike_earns_what_guessing_earns(width: int) -> None:
    got = metrics(np.zeros((3, width)), np.array([0, 1, width - 1]))
    ranks = np.arange(1, width + 1)
    assert got["mrr"] == pytest.approx(np.mean(1 / ranks))
    for k in K:
        assert got[f"hit_ratio@{k}"] == pytest.approx(min(k, width) / width)
        assert got[f"ndcg@{k}"] == pytest.approx(np.sum((ranks <= k) / np.log2(1 + ranks)) / width)


def test_values_at_a_known_rank() -> None:
    got = metrics(np.array([[0.9, 0.5, 0.7, 0.1]]), np.array([1]))  # rank 3
    assert (got["hit_ratio@2"][0], got["hit_ratio@3"][0], got["ndcg@3"][0]) == (0, 1, 0.5)
    assert got["mrr"][0] == pytest.approx(1 / 3)


@given(st.permutations(range(8)), st.permutations(range(5)), st.integers(0, 9))
def test_neither_the_order_of_rows_nor_of_candidates_matters(rows: list[int], columns: list[int], seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(0, 3, (8, 5)).astype(float), rng.integers(0, 5, 8)
    plain = metrics(scores, truth)
    place = np.argsort(columns)
    mixed = metrics(scores[rows][:, columns], place[truth[rows]])
    for name, values in plain.items():
        assert mixed[name] == pytest.approx(values[rows])


@given(st.integers(0, 20))
def test_any_increasing_change_of_the_scores_keeps_the_values(seed: int) -> None:
    rng = np.random.default_rng(seed)
    scores, truth = rng.integers(-4, 4, (9, 6)).astype(float), rng.integers(0, 6, 9)
    a, b = metrics(scores, truth), metrics(np.exp(scores) * 3 - 7, truth)
    assert all((a[name] == b[name]).all() for name in a)


def test_names_say_metric_and_cut_off() -> None:
    names = set(metrics(np.zeros((1, 3)), np.array([0])))
    assert names == {"mrr"} | {f"{m}@{k}" for m in ("hit_ratio", "recall", "ndcg") for k in K}
