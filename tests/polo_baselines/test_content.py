"""The baseline ``content_knn``: similarity by what is known of items."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import FloatArray, InputError
from polo.plugin.component import Choice
from polo.testing import context
from polo_baselines.content import ContentKNN
from polo_baselines.options import ContentOptions
from tests.toy_splits import SEQUENCES, N, rows_of, splits_of


def made(vectors: FloatArray, looks_at: Any = "history") -> ContentKNN:
    options = ContentOptions(encoder=Choice("encoder", "given", None), looks_at=looks_at)
    return ContentKNN(options, context(build=lambda choice: SimpleNamespace(vectors=lambda items, splits: vectors)))


@settings(max_examples=40)
@given(SEQUENCES, st.lists(st.lists(st.integers(0, N - 1), max_size=4, unique=True), min_size=1, max_size=5))
def test_law_a_score_is_the_sum_of_cosines_over_the_shown_history(
    lists: list[list[int]], histories: list[list[int]]
) -> None:
    rng = np.random.default_rng(len(lists))
    vectors = rng.normal(size=(N, 3))
    vectors[0] = 0.0  # says nothing, and is like nothing
    length = np.sqrt((vectors**2).sum(axis=1))
    rows = rows_of(histories)
    candidates = rng.integers(0, N, (len(rows), 4))
    baseline = made(vectors)
    baseline.fit(splits_of(lists))
    expected = [
        [sum(float(vectors[h] @ vectors[c]) / (length[h] * length[c]) for h in shown if h and c) for c in listed]
        for shown, listed in zip(histories, candidates.tolist(), strict=True)
    ]
    assert baseline.score(rows, candidates) == pytest.approx(np.array(expected))


def test_training_items_are_looked_at_where_asked_for_or_where_nothing_is_shown() -> None:
    vectors = np.eye(N)
    rows = rows_of([[0], [1]])
    candidates = np.tile(np.arange(N), (2, 1))
    splits = splits_of([[2, 3], [4]])
    baseline = made(vectors, "training")
    baseline.fit(splits)
    users = [set(splits.sequences[s].tolist()) for s in range(2)]
    found = baseline.score(replace(rows, user=splits.sequences.user[:2]), candidates)
    assert [set(np.flatnonzero(line)) for line in found] == users
    blind = made(vectors)
    blind.fit(splits)
    without = replace(rows, user=splits.sequences.user[:2], history=rows.history[:, :0])
    assert np.array_equal(blind.score(without, candidates), found)


@pytest.mark.parametrize("vectors", [np.zeros((N - 1, 2)), np.full((N, 2), np.nan)])
def test_an_encoder_that_does_not_know_every_item_is_refused(vectors: FloatArray) -> None:
    with pytest.raises(InputError, match=r"encoder .given. gives .*not a finite vector"):
        made(vectors).fit(splits_of([[0, 1]]))
