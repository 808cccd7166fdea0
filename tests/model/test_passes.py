"""Any way to cut rows and lists into passes gives the same scores, and no pass holds more than its budget."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo.data import IntArray
from polo.model.passes import passes, pieces, rank_in_passes, score_in_passes


class Counting:
    """Scores that name their row and item; a row costs 3 and 2 an item."""

    def __init__(self) -> None:
        self.module = torch.nn.Linear(1, 1)
        self.costs: list[int] = []

    def cost(self, rows: Any, n: int) -> np.ndarray:
        return np.full(len(rows), 3 + 2 * n)

    def score(self, rows: Any, items: torch.Tensor) -> torch.Tensor:
        self.costs.append(len(rows) * (3 + 2 * items.shape[1]))
        return 1000.0 * torch.from_numpy(rows)[:, None] + items


class Many(Counting):
    """Has a way of its own from three items on."""

    few = 2

    def score_many(self, rows: Any, items: torch.Tensor, budget: int) -> torch.Tensor:
        self.costs.append(-budget)
        return 1000.0 * torch.from_numpy(rows)[:, None] + items


def lists(b: int, n: int) -> tuple[Any, torch.Tensor]:
    return np.arange(10, 10 + b), torch.arange(b * n).reshape(b, n)


@given(st.lists(st.integers(1, 50), max_size=20), st.integers(1, 80))
def test_groups_hold_each_row_once_and_more_than_the_budget_only_alone(cost: list[int], budget: int) -> None:
    groups = passes(np.array(cost, dtype=np.int64), budget)
    assert sorted(i for group in groups for i in group.tolist()) == list(range(len(cost)))
    assert all(len(group) == 1 or sum(cost[i] for i in group) <= budget for group in groups)


@given(st.integers(1, 6), st.integers(1, 9), st.integers(1, 60), st.data())
def test_scores_do_not_depend_on_the_budget_and_passes_keep_to_it(b: int, n: int, budget: int, data: Any) -> None:
    rows, items = lists(b, n)
    only = np.array(data.draw(st.lists(st.sampled_from(range(b)), unique=True)), dtype=np.int64)
    expected = 1000.0 * torch.from_numpy(rows)[:, None] + items
    for call in (score_in_passes, rank_in_passes):
        policy: Any = Counting()
        assert torch.equal(call(policy, rows, items, budget), expected)
        assert max(policy.costs) <= max(budget, 5), "one row with one item costs 5"
        assert torch.equal(call(policy, rows, items, budget, only), expected[torch.from_numpy(only)])


@given(st.integers(1, 33), st.integers(1, 80))
def test_law_a_list_is_cut_into_no_more_pieces_than_halving_it_until_one_fits_gives(n: int, budget: int) -> None:
    width = n
    while width > 1 and 3 + 2 * width > budget:
        width = (width + 1) // 2
    policy: Any = Counting()
    rank_in_passes(policy, *lists(1, n), budget)
    assert len(policy.costs) == -(-n // width)
    assert max(policy.costs) - min(policy.costs) <= 2, "an item costs 2: pieces differ by one item at most"


@given(st.lists(st.integers(1, 40), min_size=1, max_size=5), st.integers(0, 3), st.integers(1, 9), st.integers(1, 50))
def test_law_a_row_is_cut_into_columns_where_no_pass_holds_it_and_columns_cost_something(
    prompts: list[int], each: int, n: int, budget: int
) -> None:
    def cost(width: int) -> IntArray:
        assert isinstance(width, int), "a number of columns"
        return np.array(prompts) + each * width

    held, cut = np.zeros((len(prompts), n), np.int64), np.zeros(len(prompts), np.bool_)
    for rows, columns in pieces(cost, n, budget):
        held[rows, columns] += 1
        cut[rows] |= columns != slice(None)
    assert (held == 1).all()
    assert cut.tolist() == ((cost(n) > budget) & (each > 0) & (n > 1)).tolist()


def test_a_policy_with_a_way_of_its_own_gets_long_lists_whole() -> None:
    policy: Any = Many()
    rank_in_passes(policy, *lists(4, 2), 100)
    assert policy.costs == [28], "two items are few: one pass"
    rank_in_passes(policy, *lists(4, 3), 50)
    assert policy.costs == [28, -50]
    assert rank_in_passes(policy, *lists(4, 3), 50, np.empty(0, np.int64)).shape == (0, 3)
    assert policy.costs == [28, -50]


def test_a_long_list_under_sharded_weights_is_cut_into_short_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its own way would need another number of passes in each process."""
    monkeypatch.setattr("polo.model.passes.is_sharded", lambda module: True)
    policy: Any = Many()
    scored = rank_in_passes(policy, *lists(4, 5), 100)
    assert torch.equal(scored, 1000.0 * torch.arange(10, 14)[:, None] + torch.arange(20).reshape(4, 5))
    assert sorted(policy.costs) == [20, 28, 28], "four rows of two items, of two and of one"


def test_scores_for_comparison_keep_to_the_form_of_training_while_a_pass_holds_a_row() -> None:
    policy: Any = Many()
    score_in_passes(policy, *lists(2, 3), 9)
    assert policy.costs == [9, 9]
    score_in_passes(policy, *lists(2, 3), 8)
    assert policy.costs == [9, 9, -8]
