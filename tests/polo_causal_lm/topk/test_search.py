"""The search for the best titles against a ranking of all, on random trees and random conditional distributions."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import IntArray, PoloError
from polo_causal_lm.topk import frontier
from polo_causal_lm.topk.search import EXTRA, Search, Wish
from polo_causal_lm.topk.titles import TitleTree
from tests.polo_causal_lm.topk.worlds import FACTS, Facts, World, world_of


def run(world: World, wish: Wish, without: IntArray) -> Search:
    search = Search(world.tree, wish, without)
    while nodes := search.wanted():
        for node in nodes:
            search.tell(node, world.children(node))
    return search


def ranked(world: World, ranking: str, without: IntArray) -> IntArray:
    """A stable sort of all scores, as ``polo recommend`` ranks a list."""
    items = np.setdiff1d(np.arange(len(world.titles)), without)
    order: IntArray = items[np.argsort(-world.scores(ranking)[items], kind="stable")]
    return order


CASES = st.tuples(FACTS, st.integers(1, 12), st.sampled_from(["sum", "mean"]), st.sets(st.integers(0, 39)))


@given(CASES)
def test_law_the_search_equals_a_stable_sort_of_all_scores(
    given: tuple[Facts, int, Literal["sum", "mean"], set[int]],
) -> None:
    facts, k, ranking, left_out = given
    world = world_of(facts)
    without = np.array(sorted(left_out & set(range(len(world.titles)))), np.int64)
    search, expected = run(world, Wish(k, ranking), without), ranked(world, ranking, without)
    assert search.items.tolist() == expected[:k].tolist()
    assert search.scores.tolist() == world.scores(ranking)[search.items].tolist()
    assert search.proven.all()


@given(CASES)
def test_law_no_more_nodes_than_the_proof_needs_and_half_as_many_again(
    given: tuple[Facts, int, Literal["sum", "mean"], set[int]],
) -> None:
    """Needed: wanted titles below it, and a bound at or above the last place's score (the item decides of equals)."""
    facts, k, ranking, left_out = given
    world = world_of(facts)
    without = np.array(sorted(left_out & set(range(len(world.titles)))), np.int64)
    search, tree, logps = run(world, Wish(k, ranking), without), world.tree, world.logps()
    last = (-search.scores[-1], search.items[-1]) if len(search.items) == k else (np.inf, 1000)
    needed = 0
    for node in range(len(tree)):
        below = tree.order[tree.low[node] + tree.ends[node] : tree.high[node]]
        bound = logps[node] / (tree.longest[node] if ranking == "mean" else 1)
        needed += bool(np.setdiff1d(below, without).size) and (-bound, tree.least[node]) < last
    assert search.needed == needed
    assert needed <= search.expanded <= (1 + EXTRA) * needed


@given(CASES, st.integers(0, 12))
def test_law_a_search_that_is_stopped_proves_only_what_is_so(
    given: tuple[Facts, int, Literal["sum", "mean"], set[int]], nodes: int
) -> None:
    facts, k, ranking, left_out = given
    world = world_of(facts)
    without = np.array(sorted(left_out & set(range(len(world.titles)))), np.int64)
    search, expected = run(world, Wish(k, ranking, nodes), without), ranked(world, ranking, without)
    assert search.expanded <= nodes
    proven = search.proven
    sure = int(proven.sum())
    assert proven[:sure].all()
    assert search.items[:sure].tolist() == expected[:k][:sure].tolist()
    if search.items.tolist() != expected[:k].tolist():
        assert not proven.all()


@settings(max_examples=30)
@given(FACTS)
def test_law_children_are_sorted_in_portions_of_any_size(facts: Facts) -> None:
    world = world_of(facts)
    before = frontier.PORTION
    frontier.PORTION = 2
    try:
        nothing = np.array([], np.int64)
        assert run(world, Wish(5), nothing).items.tolist() == ranked(world, "sum", nothing)[:5].tolist()
    finally:
        frontier.PORTION = before


@given(FACTS)
def test_law_the_tree_holds_every_title_once_and_nothing_else(facts: Facts) -> None:
    world = world_of(facts)
    tree, titles = world.tree, world.titles
    below = [set(tree.order[low:high].tolist()) for low, high in zip(tree.low, tree.high, strict=True)]
    for node in range(len(tree)):
        spelt = [int(tree.token[step]) for step in tree.path(node)]
        assert tree.depth[node] == len(spelt)
        having = {i for i, title in enumerate(titles) if title[: len(spelt)].tolist() == spelt}
        assert below[node] == having
        assert tree.least[node] == min(having)
        assert tree.longest[node] == max(len(titles[i]) for i in having)
        here = {i for i in having if len(titles[i]) == len(spelt)}
        assert set(tree.order[tree.low[node] : tree.low[node] + tree.ends[node]].tolist()) == here
    # no beginning has two nodes, and the root is all of them
    assert len({tuple(tree.token[tree.path(node)].tolist()) for node in range(len(tree))}) == len(tree)
    assert below[0] == set(range(len(titles)))


def test_nodes_of_one_depth_bound_the_work() -> None:
    """A hundred thousand titles, 50 x 50 x 40 tokens: fewer than 40 nodes of 52,551 prove the best 3."""
    rng = np.random.default_rng(0)
    titles = [np.array([3 + a, 3 + b, 3 + c, 2]) for a in range(50) for b in range(50) for c in range(40)]
    tree = TitleTree.of(titles)
    edge = np.zeros(len(tree))
    for node in np.flatnonzero(np.diff(tree.child)):
        low, high = tree.child[node], tree.child[node + 1]
        edge[low:high] = np.log(rng.dirichlet(np.full(high - low, 0.1)))
    search = run(World(tree, titles, edge), Wish(3), np.array([], np.int64))
    likeliest = float(np.exp(search.scores[-1]))
    assert search.expanded <= (1 + EXTRA) * 4 / likeliest
    assert search.expanded < 40


def test_impossible_titles_come_last_by_item_number_and_nan_is_refused() -> None:
    titles = [np.array([5, 2]), np.array([6, 2]), np.array([7, 2])]
    search = Search(TitleTree.of(titles), Wish(3), np.array([], np.int64))
    assert search.wanted() == [0]
    search.tell(0, np.array([-np.inf, -1.0, -np.inf]))
    while nodes := search.wanted():
        for node in nodes:
            search.tell(node, np.zeros(1))
    assert search.items.tolist() == [1, 0, 2]
    other = Search(TitleTree.of(titles), Wish(1), np.array([], np.int64))
    other.wanted()
    with pytest.raises(PoloError, match="NaN"):
        other.tell(0, np.array([np.nan, 0.0, 0.0]))
