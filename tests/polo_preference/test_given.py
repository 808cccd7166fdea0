"""Negatives that come with the data: the rest of a row's list, in its order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, Known, RowRandom, Rows
from polo.testing import context, small_splits
from polo.testing.samplers import peek
from tests.contracts.components import make

SMALL = small_splits(users=5, items=12)


def listed(lists: np.ndarray, target: np.ndarray) -> Rows:
    n = len(lists)
    return Rows(np.arange(n), np.arange(n) % 5, np.empty((n, 0), np.int64), target, lists)


@st.composite
def lists(draw: Any) -> Rows:
    """Rows with lists of 2 to 7 items, padded on the right to 7 places, the target anywhere."""
    rows = []
    for _ in range(draw(st.integers(1, 5))):
        items = draw(st.lists(st.integers(0, 11), min_size=2, max_size=7, unique=True))
        rows.append((items + [PAD] * (7 - len(items)), draw(st.sampled_from(items))))
    return listed(np.array([line for line, _ in rows]), np.array([target for _, target in rows]))


@given(lists(), st.sampled_from([None, 1, 3, 9]))
def test_law_the_first_k_others_of_a_list_are_given_in_its_order(rows: Rows, k: int | None) -> None:
    nobody = replace(SMALL, train=rows, known_train=Known(np.empty(0, np.int64), np.empty(0, np.int64), 12))
    draw = make("sampler", "given", context(splits=nobody), k=k).draw(rows, RowRandom(0), peek)
    assert rows.candidates is not None
    width = 0
    for line, target, items, valid in zip(rows.candidates, rows.target, draw.items, draw.valid, strict=True):
        expected = [int(item) for item in line if item not in (PAD, target)][:k]
        assert items[valid].tolist() == expected
        assert valid.tolist() == sorted(valid.tolist(), reverse=True), "valid ones first"
        width = max(width, len(expected))
    assert draw.items.shape == (len(rows), width), "no column of nothing but padding"


@pytest.mark.parametrize("taken", [3, 8])
def test_what_the_user_took_in_training_is_no_negative(taken: int) -> None:
    rows = listed(np.array([[5, 3, 8, 9]]), np.array([5]))
    splits = replace(SMALL, train=rows, known_train=Known(np.array([0]), np.array([taken]), 12))
    draw = make("sampler", "given", context(splits=splits)).draw(rows, RowRandom(0), peek)
    assert torch.equal(draw.valid, draw.items != taken)
    assert draw.items.tolist() == [[3, 8, 9]]
