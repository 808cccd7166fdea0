"""Numbers that paper and pencil give."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from polo import RowRandom, Scores, Sequences
from polo.testing import context, small_splits

from polo_plugin_co_taken.loss import FocalPairs
from polo_plugin_co_taken.options import CoTakenOptions, FocalPairsOptions
from polo_plugin_co_taken.sampler import CoTaken


def nobody(rows, items):
    """In place of the policy, at which this sampler never looks."""
    raise AssertionError


@pytest.mark.parametrize(("gamma", "value"), [(0.0, 0.3132617), (2.0, 0.0226581)])
def test_one_pair_with_margin_1(gamma, value):
    """p = 1 / (1 + e^-1) = 0.7310586: -log p = 0.3132617, times (1 - p)^2 = 0.0723295 it is 0.0226581."""
    head = FocalPairs(FocalPairsOptions(gamma=gamma), context())
    scores = Scores.of(torch.tensor([[3.0, 2.0]], dtype=torch.float64))
    loss = head(scores, torch.tensor([[True]]), torch.tensor([[1.0]], dtype=torch.float64))
    assert float(loss) == pytest.approx(value, rel=1e-5)


def test_near_misses_are_drawn_in_proportion_to_how_often_they_were_taken():
    """Item 7 stood beside item 5 four times, item 9 once, no other: with a tiny floor, first draws are 4 to 1."""
    splits = small_splits(users=1, items=20)
    taken = Sequences.of([0], [[5, 7, 5, 7, 5, 9]])  # 5-7, 7-5, 5-7, 7-5, 5-9: four times 7, once 9
    n = 4000
    one = splits.train[:1]
    rows = replace(one[np.zeros(n, np.int64)], id=np.arange(n), history=np.full((n, 5), 5), target=np.full(n, 3),
                   user=np.full(n, 99))  # fmt: skip
    sampler = CoTaken(CoTakenOptions(k=1, floor=1e-9), context(splits=replace(splits, sequences=taken)))
    first = sampler.draw(rows, RowRandom(0), nobody).items[:, 0].numpy()
    assert set(first.tolist()) == {7, 9}
    assert (first == 7).mean() == pytest.approx(4 / 5, abs=4 * (0.16 / n) ** 0.5)
