"""Ranking metrics of rows with several relevant items: by hand, and against all orders of what scores alike."""

from __future__ import annotations

from itertools import pairwise, permutations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Ragged, Ranked, Rows
from polo_metrics.options import AtK
from polo_metrics.ranking import MAP, MRR, NDCG, HitRatio, Precision, Recall

K = (1, 2, 3, 7)


def ranked(scores: list[list[float]], relevant: list[list[int]]) -> Ranked:
    table, n = np.array(scores, np.float64), np.arange(len(scores))
    lists = np.broadcast_to(np.arange(table.shape[1]), table.shape).copy()
    target = np.array([one[0] for one in relevant], np.int64)
    rows = Rows(n, n, np.zeros((len(n), 0), np.int64), target, lists, Ragged.of(relevant))
    return Ranked.of(rows, table)


def metrics(made: Ranked) -> dict[str, np.ndarray]:
    options = AtK(k=K)
    out: dict[str, np.ndarray] = {}
    for evaluator in (HitRatio, Recall, Precision, NDCG):
        out |= evaluator(options, None).per_row(made)
    return out | MRR(None, None).per_row(made) | MAP(None, None).per_row(made)


def of_one_order(order: tuple[int, ...], relevant: set[int]) -> dict[str, float]:
    hits = np.array([item in relevant for item in order], np.float64)
    discount = 1 / np.log2(np.arange(2, len(order) + 2))
    found = {}
    for k in K:
        found[f"hit_ratio@{k}"] = float(hits[:k].any())
        found[f"recall@{k}"] = hits[:k].sum() / len(relevant)
        found[f"precision@{k}"] = hits[:k].sum() / k
        found[f"ndcg@{k}"] = (hits * discount)[:k].sum() / discount[: min(k, len(relevant))].sum()
    found["mrr"] = 1 / (1 + hits.argmax())
    precision = np.cumsum(hits) / np.arange(1, len(order) + 1)
    found["map"] = (precision * hits).sum() / len(relevant)
    return found


@settings(max_examples=60)
@given(
    st.lists(st.integers(0, 2), min_size=1, max_size=6),
    st.data(),
)
def test_law_ties_count_by_the_mean_over_all_orders(scores: list[int], data: st.DataObject) -> None:
    relevant = data.draw(st.lists(st.integers(0, len(scores) - 1), min_size=1, max_size=len(scores), unique=True))
    orders = [
        order for order in permutations(range(len(scores))) if all(scores[a] >= scores[b] for a, b in pairwise(order))
    ]
    each = [of_one_order(order, set(relevant)) for order in orders]
    found = metrics(ranked([scores], [relevant]))
    assert found.keys() == each[0].keys()
    for name, value in found.items():
        assert value[0] == pytest.approx(np.mean([one[name] for one in each])), name


def test_two_of_three_relevant_items_by_hand() -> None:
    """Ranks 1 and 3 of 4: recall@2 1/2, precision@2 1/2, DCG@3 = 1 + 1/2 of 1 + 1/log2(3), AP = (1 + 2/3) / 2."""
    found = metrics(ranked([[0.9, 0.5, 0.7, 0.1]], [[0, 1]]))
    assert found["hit_ratio@1"][0] == 1
    assert found["recall@2"][0] == 0.5
    assert found["precision@2"][0] == 0.5
    assert found["ndcg@3"][0] == pytest.approx(1.5 / (1 + 1 / np.log2(3)))
    assert found["ndcg@1"][0] == 1
    assert found["mrr"][0] == 1
    assert found["map"][0] == pytest.approx(5 / 6)


def test_two_of_three_that_score_alike_by_hand() -> None:
    """P(hit at 1) = 2/3; the first relevant one is at rank 1 with 2/3, else at 2: 2/3 + 1/6."""
    found = metrics(ranked([[1, 1, 1]], [[0, 2]]))
    assert found["hit_ratio@1"][0] == pytest.approx(2 / 3)
    assert found["hit_ratio@2"][0] == 1
    assert found["recall@1"][0] == pytest.approx(1 / 3)
    assert found["mrr"][0] == pytest.approx(5 / 6)


def test_rows_with_unlike_numbers_of_relevant_items_do_not_mix() -> None:
    scores = [[0.1, 0.2, 0.3, 0.4], [4.0, 3.0, 3.0, 1.0], [0.0, 0.0, 0.0, 0.0]]
    relevant = [[3], [2, 0, 1], [1, 2]]
    together = metrics(ranked(scores, relevant))
    for i in range(3):
        for name, value in metrics(ranked(scores[i : i + 1], relevant[i : i + 1])).items():
            assert together[name][i] == pytest.approx(value[0])


def test_relevant_items_that_are_not_in_the_list_do_not_count() -> None:
    rows = Rows(
        np.arange(1), np.arange(1), np.zeros((1, 0), np.int64), np.array([5]), np.array([[8, 5, 2]]),
        Ragged.of([[5, 9]]),
    )  # fmt: skip
    made = Ranked.of(rows, np.array([[1.0, 2.0, 3.0]]))
    assert (made.places.above.tolist(), Recall(AtK(k=(2,)), None).per_row(made)["recall@2"].tolist()) == ([1], [1.0])
