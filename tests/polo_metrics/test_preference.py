"""Metrics of preference data on numbers small enough for paper and pencil."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, Ranked, Rows
from polo.testing import context
from polo_baselines.simple import Length
from polo_metrics.preference import LengthControlled, Likelihood
from tests.pairs import splits_of

LISTS = np.array([[0, 1, 2], [3, 4, PAD]])
ROWS = Rows(np.arange(2), np.arange(2), np.empty((2, 0), np.int64), LISTS[:, 0].copy(), LISTS)


def test_likelihood_is_the_mean_over_tokens() -> None:
    """-6 over 3 tokens is -2; the others of row 0: -4 and -1, mean -2.5; of row 1: -5."""
    scores = np.array([[-6.0, -8.0, -1.0], [-3.0, -10.0, -99.0]])
    ranked = Ranked.of(ROWS, scores, tokens=np.array([[3, 2, 1], [1, 2, 1]]))
    found = Likelihood(None, context()).per_row(ranked)
    assert found["likelihood/chosen"].tolist() == [-2.0, -3.0]
    assert found["likelihood/rejected"].tolist() == [-2.5, -5.0]


def test_accuracy_controlled_for_length(tmp_path: Path) -> None:
    """Row 0 is chosen long: right against "b", wrong against "cc"; row 1 is chosen short, and right: (1/2 + 1) / 2."""
    splits = splits_of(
        tmp_path,
        [{"prompt": "p", "chosen": "aaa", "rejected": ["b", "cc"]}, {"prompt": "q", "chosen": "d", "rejected": "eee"}],
        held_out=0.0,
    )
    metric = LengthControlled(None, context(splits=splits))
    scores = np.array([[2.0, 1.0, 3.0], [2.0, 1.0, 9.0]])
    value = metric.per_row(Ranked.of(splits.train, scores))["length_controlled_accuracy"]
    assert value.tolist() == [0.5, 1.0]
    assert value.mean() == 0.75
    alone = splits.train[:1]  # chosen longer in every pair: its accuracy is all there is
    assert metric.per_row(Ranked.of(alone, scores[:1]))["length_controlled_accuracy"].tolist() == [0.5]


@given(st.lists(st.tuples(st.integers(1, 9), st.integers(1, 9)), min_size=2, max_size=20), st.integers(0, 3))
def test_law_length_alone_gets_one_half(
    tmp_path_factory: pytest.TempPathFactory, lengths: list[tuple[int, int]], seed: int
) -> None:
    pairs = [*lengths, (5, 2), (2, 5)]  # at least one of each kind
    rows = [{"prompt": f"p{i}", "chosen": "a" * n, "rejected": "b" * m} for i, (n, m) in enumerate(pairs)]
    splits = splits_of(tmp_path_factory.mktemp("pairs"), rows, held_out=0.0)
    baseline = Length(None, context())
    baseline.fit(splits)
    assert baseline.applies(splits)
    ranked = Ranked.of(splits.train, baseline.score(splits.train, splits.train.listed))
    value = LengthControlled(None, context(splits=splits)).per_row(ranked)["length_controlled_accuracy"]
    assert value.mean() == pytest.approx(0.5)
    longer = [(n > m) + 0.5 * (n == m) for n, m in pairs]
    assert ranked.accuracy().tolist() == longer


def test_where_all_answers_are_of_one_length_there_is_nothing_to_control(tmp_path: Path) -> None:
    rows = [{"prompt": f"p{i}", "chosen": "ab", "rejected": "cd"} for i in range(2)]
    splits = splits_of(tmp_path, rows, held_out=0.0)
    ranked = Ranked.of(splits.train, np.array([[2.0, 1.0], [1.0, 2.0]]))
    value = LengthControlled(None, context(splits=splits)).per_row(ranked)["length_controlled_accuracy"]
    assert value.tolist() == ranked.accuracy().tolist() == [1.0, 0.0]
