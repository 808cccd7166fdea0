"""Ranking metrics against ir-measures, on lists without ties."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Ragged, Ranked, Rows
from polo_metrics.options import AtK
from polo_metrics.ranking import MAP, MRR, NDCG, HitRatio, Precision, Recall

ir_measures = pytest.importorskip("ir_measures", reason="ir-measures is not installed")
pytestmark = pytest.mark.oracle


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_law_without_ties_metrics_are_those_of_ir_measures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, n = 12, 20
    lists = np.array([rng.choice(100, n, replace=False) for _ in range(count)])
    target = lists[np.arange(count), rng.integers(0, n, count)]
    rows = Rows(np.arange(count), np.arange(count), np.zeros((count, 1), np.int64), target, lists)
    scores = np.array([rng.permutation(n) for _ in range(count)], np.float64)
    ranked = Ranked.of(rows, scores)
    run = {str(i): {str(c): s for c, s in zip(lists[i], scores[i], strict=True)} for i in range(count)}
    truth = {str(i): {str(target[i]): 1} for i in range(count)}
    ours = {
        **HitRatio(AtK(k=(1, 5)), None).per_row(ranked),
        **Recall(AtK(k=(10,)), None).per_row(ranked),
        **NDCG(AtK(k=(5, 10)), None).per_row(ranked),
        **MRR(None, None).per_row(ranked),
    }
    theirs = {
        "hit_ratio@1": "Success@1", "hit_ratio@5": "Success@5", "recall@10": "R@10", "ndcg@5": "nDCG@5",
        "ndcg@10": "nDCG@10", "mrr": "RR",
    }  # fmt: skip
    for name, measure in theirs.items():
        for found in ir_measures.iter_calc([ir_measures.parse_measure(measure)], truth, run):
            assert ours[name][int(found.query_id)] == pytest.approx(found.value), (name, found.query_id)


@settings(max_examples=15)
@given(st.integers(0, 10_000))
def test_law_with_several_relevant_items_and_no_ties_metrics_are_those_of_ir_measures(seed: int) -> None:
    rng = np.random.default_rng(seed)
    count, n = 12, 30
    lists = np.tile(np.arange(n), (count, 1))
    relevant = [rng.choice(n, rng.integers(1, 9), replace=False).tolist() for _ in range(count)]
    target = np.array([one[0] for one in relevant])
    scores = np.array([rng.permutation(n) for _ in range(count)], np.float64)
    none = np.zeros((count, 0), np.int64)
    ranked = Ranked.of(Rows(np.arange(count), np.arange(count), none, target, lists, Ragged.of(relevant)), scores)
    run = {str(i): {str(c): s for c, s in enumerate(scores[i])} for i in range(count)}
    truth = {str(i): {str(c): 1 for c in relevant[i]} for i in range(count)}
    cut = AtK(k=(3, 20))
    ours = {
        **HitRatio(cut, None).per_row(ranked), **Recall(cut, None).per_row(ranked),
        **Precision(cut, None).per_row(ranked), **NDCG(cut, None).per_row(ranked),
        **MRR(None, None).per_row(ranked), **MAP(None, None).per_row(ranked),
    }  # fmt: skip
    theirs = {"mrr": "RR", "map": "AP"}
    for k in cut.k:
        theirs |= {f"hit_ratio@{k}": f"Success@{k}", f"recall@{k}": f"R@{k}", f"precision@{k}": f"P@{k}",
                   f"ndcg@{k}": f"nDCG@{k}"}  # fmt: skip
    assert theirs.keys() == ours.keys()
    for name, measure in theirs.items():
        for found in ir_measures.iter_calc([ir_measures.parse_measure(measure)], truth, run):
            assert ours[name][int(found.query_id)] == pytest.approx(found.value), (name, found.query_id)
