"""The scorer ``calibrated``: what the history adds, and popularity in the place of a model's own preference."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from polo.context import Choice
from polo.data import PAD, Rows, Splits
from polo.errors import InputError
from polo.model.calibrated import CalibratedOptions, CalibratedScorer
from polo.model.scoring import PolicyScorer, PolicyScorerOptions
from polo.testing import context, small_splits
from tests.toy_policy import ToyPolicy

ITEMS = 40
SPLITS = small_splits(users=12, items=ITEMS)


def made(prior: float = 1.0, splits: Splits = SPLITS) -> CalibratedScorer:
    def build(choice: Choice) -> Any:
        assert choice.name == "policy"
        return PolicyScorer(PolicyScorerOptions(tokens_per_pass=50), context(splits=splits))

    return CalibratedScorer(CalibratedOptions(prior=prior), context(splits=splits, build=build))


class Opinionated(ToyPolicy):
    """The toy, with a preference for some items that no history changes: about as short titles have it."""

    def __init__(self, strength: float) -> None:
        super().__init__(items=ITEMS)
        self.strength = strength

    def score(self, rows: Rows, items: Tensor) -> Tensor:
        return super().score(rows, items) + self.strength * torch.sin(items.double())


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.sampled_from([0.0, 0.5, 1.0]))
def test_law_scores_are_those_of_the_history_less_those_of_nothing_plus_popularity(seed: int, weight: float) -> None:
    rng, policy, rows = np.random.default_rng(seed), Opinionated(2.0), SPLITS.test
    lists = rng.integers(0, ITEMS, (len(rows), 5))
    nothing = replace(rows, history=np.full_like(rows.history, PAD))
    counts = np.bincount(SPLITS.sequences.items, minlength=ITEMS)
    with torch.no_grad():
        shown, alone = (policy.score(some, torch.from_numpy(lists)).numpy() for some in (rows, nothing))
    scores, tokens = made(weight).score(policy, rows, lists)
    np.testing.assert_allclose(scores, shown - alone + weight * np.log(counts[lists] + 1.0), rtol=1e-9, atol=1e-9)
    assert (tokens == 1).all()


def test_law_a_preference_that_no_history_changes_changes_no_score() -> None:
    lists = np.random.default_rng(0).integers(0, ITEMS, (len(SPLITS.test), 6))
    plain, _ = made().score(Opinionated(0.0), SPLITS.test, lists)
    biased, _ = made().score(Opinionated(50.0), SPLITS.test, lists)
    np.testing.assert_allclose(biased, plain, atol=1e-9)


def test_law_where_nothing_is_shown_the_ranking_is_that_of_popularity() -> None:
    rows = replace(SPLITS.test, history=np.full_like(SPLITS.test.history, PAD))
    everything = np.tile(np.arange(ITEMS), (len(rows), 1))
    scores, _ = made().score(Opinionated(3.0), rows, everything)
    counts = np.bincount(SPLITS.sequences.items, minlength=ITEMS)
    np.testing.assert_allclose(scores, np.log(counts + 1.0)[everything], atol=1e-9)


def test_law_lists_and_the_whole_catalogue_are_scored_alike() -> None:
    policy, rows = Opinionated(2.0), SPLITS.test
    everything = np.tile(np.arange(ITEMS), (len(rows), 1))
    scores, tokens = made().every(policy)(rows.with_candidates(everything))
    assert tokens is None
    np.testing.assert_allclose(scores, made().score(policy, rows, everything)[0], atol=1e-9)


def test_data_whose_answers_belong_to_their_rows_are_refused() -> None:
    with pytest.raises(InputError, match="needs a catalogue that all rows share"):
        CalibratedScorer(CalibratedOptions(), context(splits=replace(SPLITS, own=object())))  # type: ignore[arg-type]
