"""Baselines: counted by hand on small data, and known figures on real data."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Ranked, Sequences, Splits
from polo.candidates import attach
from polo_baselines.counting import ItemKNN, Markov, cosine_table, markov_table
from polo_baselines.ease import Ease
from polo_baselines.ials import Ials
from polo_baselines.options import EaseOptions, IalsOptions
from polo_baselines.simple import Popularity, Random
from polo_datasets.lastfm import LastFM
from polo_datasets.ml100k import ML100K
from polo_datasets.options import LastFMOptions, ML100KOptions
from polo_metrics.options import AtK
from polo_metrics.ranking import HitRatio
from tests.real_data import context, real_data
from tests.toy_splits import SEQUENCES, N, rows_of, splits_of


@settings(max_examples=40)
@given(SEQUENCES)
def test_the_cosine_is_that_of_the_users_of_two_items(lists: list[list[int]]) -> None:
    table = cosine_table(splits_of(lists).sequences, N).toarray()
    users = [{s for s, items in enumerate(lists) if i in items} for i in range(N)]
    for i in range(N):
        for j in range(N):
            both = len(users[i] & users[j])
            expected = both / (len(users[i]) * len(users[j])) ** 0.5 if both and i != j else 0
            assert table[i, j] == pytest.approx(expected)


def test_a_user_with_several_sequences_counts_once() -> None:
    sequences = Sequences.of([4, 4, 9], [[0, 1], [0, 2], [2]])
    table = cosine_table(sequences, 3).toarray()
    assert table[0, 1] == pytest.approx(1.0)  # both of user 4 alone
    assert table[0, 2] == pytest.approx(0.5**0.5)


@settings(max_examples=40)
@given(SEQUENCES, st.integers(1, 4))
def test_a_pair_adds_one_over_its_distance_within_the_window(lists: list[list[int]], window: int) -> None:
    expected = np.zeros((N, N))
    for items in lists:
        for a, h in enumerate(items):
            for b in range(a + 1, min(len(items), a + window + 1)):
                expected[h, items[b]] += 1 / (b - a)
    assert markov_table(splits_of(lists).sequences, N, window).toarray() == pytest.approx(expected)


@settings(max_examples=30)
@given(SEQUENCES, st.lists(st.lists(st.integers(0, N - 1), max_size=4), min_size=1, max_size=5))
def test_counting_baselines_sum_their_table_over_the_shown_history(
    lists: list[list[int]], histories: list[list[int]]
) -> None:
    splits, rows = splits_of(lists), rows_of(histories)
    candidates = np.random.default_rng(0).integers(0, N, (len(rows), 4))
    for baseline, table in (
        (ItemKNN(None, None), cosine_table(splits.sequences, N).toarray()),
        (Markov(None, None), markov_table(splits.sequences, N).toarray()),
    ):
        baseline.fit(splits)
        expected = [[sum(table[h, c] for h in history) for c in listed]
                    for history, listed in zip(histories, candidates.tolist(), strict=True)]  # fmt: skip
        assert baseline.score(rows, candidates) == pytest.approx(np.array(expected))


def test_popularity_counts_training_items() -> None:
    baseline = Popularity(None, None)
    baseline.fit(splits_of([[0, 2], [2, 3]]))
    assert baseline.score(rows_of([[]]), np.array([[0, 1, 2, 3]])).tolist() == [[1, 0, 2, 1]]


def test_random_scores_belong_to_the_row(tmp_path: Path) -> None:
    baseline = Random(None, context(tmp_path))
    rows = rows_of([[0], [1], [2]])
    scores = baseline.score(rows, np.zeros((3, 5), np.int64))
    assert (baseline.score(rows[np.array([2, 0])], np.zeros((2, 5), np.int64)) == scores[[2, 0]]).all()
    assert len(np.unique(scores)) == 15


def counting(tmp_path: Path) -> dict[str, Any]:
    return {
        "random": Random(None, context(tmp_path)),
        "popularity": Popularity(None, None),
        "item_knn": ItemKNN(None, None),
        "markov": Markov(None, None),
    }


def hit_ratios(splits: Splits, baselines: dict[str, Any]) -> dict[str, float]:
    rows = attach(splits, splits.test, n=20, negatives="uniform", seed=0, known=splits.known_all)
    hit = HitRatio(AtK(k=(1,)), None)
    out = {}
    for name, baseline in baselines.items():
        baseline.fit(splits)
        values = hit.per_row(Ranked.of(rows, baseline.score(rows, rows.candidates)))["hit_ratio@1"]
        out[name] = float(values.mean())
    return out


def test_figures_on_lastfm(tmp_path: Path) -> None:
    options = LastFMOptions(path=real_data("lastfm-hetrec"))
    expected = {"random": 0.05, "popularity": 0.277, "item_knn": 0.515, "markov": 0.716}
    found = hit_ratios(LastFM(options, context(tmp_path)).load(), counting(tmp_path))
    assert found == pytest.approx(expected, abs=0.03)


def test_figures_on_movielens(tmp_path: Path) -> None:
    """Those of `ease` and `ials` are our own measurement."""
    options = ML100KOptions(path=real_data("ml-100k"))
    fitted = {"ease": Ease(EaseOptions(), context(tmp_path)), "ials": Ials(IalsOptions(), context(tmp_path))}
    expected = {"random": 0.05, "popularity": 0.237, "item_knn": 0.388, "markov": 0.453, "ease": 0.421, "ials": 0.442}
    found = hit_ratios(ML100K(options, context(tmp_path)).load(), {**counting(tmp_path), **fitted})
    assert found == pytest.approx(expected, abs=0.03)


def test_item_knn_knows_rows_that_show_nothing_by_the_users_training_items() -> None:
    splits = splits_of([[0, 1, 2], [0, 1], [3, 0]])
    knn = ItemKNN(None, context(Path()))
    knn.fit(splits)
    rows = rows_of([[0, 1], [3, 0]])
    shown = knn.score(replace(rows, user=np.array([1, 2])), np.tile(np.arange(N), (2, 1)))
    bare = replace(rows, user=np.array([1, 2]), history=rows.history[:, :0])
    assert np.allclose(knn.score(bare, np.tile(np.arange(N), (2, 1))), shown)
    assert not knn.score(replace(bare, user=np.array([9, 9])), np.tile(np.arange(N), (2, 1))).any()
