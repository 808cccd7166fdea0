"""Where titles stand, by search, against counting the scores of all: on random trees, and as the policy gives it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo import InputError, IntArray, PlacesItems, Ragged
from polo_causal_lm.topk import best
from polo_causal_lm.topk.places import Places
from polo_causal_lm.topk.search import Wish
from polo_causal_lm.topk.titles import TitleTree
from tests.polo_causal_lm.topk.worlds import FACTS, Facts, World, judged, policy, world_of
from tests.polo_causal_lm.world import TITLES, save_base, toy_splits

#: places, items that are asked for, items that are left out
CASES = st.tuples(FACTS, st.integers(1, 12), st.sets(st.integers(0, 39), min_size=1), st.sets(st.integers(0, 39)))
RANKINGS = ("sum", "mean")
Case = tuple[Facts, int, set[int], set[int]]


def run(case: Case, exact: bool, nodes: int | None = None) -> tuple[World, Places, IntArray, IntArray]:
    """A world, its search at the end, what was asked for, and what is ranked."""
    facts, k, wished, out = case
    world = world_of(facts)
    everything = set(range(len(world.titles)))
    asked = np.array(sorted(wished & everything) or [0], np.int64)
    without = np.array(sorted((out & everything) - set(asked.tolist())), np.int64)
    wishes = [Wish(k, ranking, nodes) for ranking in RANKINGS]
    places = Places(world.tree, wishes, without, asked, exact=exact)
    told: set[int] = set()
    while wanted := places.wanted():
        assert not told & set(wanted), "no node is asked for twice, though two rankings want it"
        told |= set(wanted)
        for node in wanted:
            places.tell(node, world.children(node))
    return world, places, asked, np.setdiff1d(np.arange(len(world.titles)), without)


@given(CASES)
def test_law_places_are_counts_of_all_scores(case: Case) -> None:
    world, places, asked, ranked = run(case, exact=True)
    assert places.over
    for ranking, found in zip(RANKINGS, places.found, strict=True):
        scores = world.scores(ranking)
        assert found.score.tolist() == scores[asked].tolist()
        assert found.sure.all()
        assert found.above.tolist() == [int((scores[ranked] > one).sum()) for one in scores[asked]]
        assert found.tied.tolist() == [int((scores[ranked] == one).sum()) - 1 for one in scores[asked]]
        expected = ranked[np.argsort(-scores[ranked], kind="stable")][: case[1]]
        assert found.items.tolist() == expected.tolist()
        assert found.proven.all()


@given(CASES)
def test_law_the_best_k_tell_the_places_among_them_and_that_others_are_behind(case: Case) -> None:
    world, places, asked, ranked = run(case, exact=False)
    assert places.over
    for ranking, found in zip(RANKINGS, places.found, strict=True):
        scores = world.scores(ranking)
        for i, one in enumerate(scores[asked]):
            above, tied = int((scores[ranked] > one).sum()), int((scores[ranked] == one).sum()) - 1
            if found.sure[i]:
                assert (found.above[i], found.tied[i]) == (above, tied)
            else:
                assert case[1] <= found.above[i] <= above, "as many as the places, and no more than there are"
            assert found.sure[i] or above >= case[1]


@given(CASES, st.integers(0, 10))
def test_law_a_limit_leaves_places_unsure_but_never_wrong(case: Case, nodes: int) -> None:
    world, places, asked, ranked = run(case, exact=True, nodes=nodes)
    for ranking, found in zip(RANKINGS, places.found, strict=True):
        scores = world.scores(ranking)
        assert found.expanded <= nodes
        for i, one in enumerate(scores[asked]):
            above, tied = int((scores[ranked] > one).sum()), int((scores[ranked] == one).sum()) - 1
            assert found.above[i] <= above
            if found.sure[i]:
                assert (found.above[i], found.tied[i]) == (above, tied)
    if places.over:
        assert all(found.sure.all() for found in places.found)


def test_a_place_near_the_top_costs_few_nodes_and_one_at_the_end_costs_all() -> None:
    """Ten titles of one token, of probability 1/2, 1/4, ...: a place takes the root, its own node and those before it.

    The best title is searched for as well: beside the first node the second is asked for on trust.
    """
    titles = [np.array([5 + i, 2]) for i in range(10)]
    tree = TitleTree.of(titles)
    edge = np.zeros(len(tree))
    edge[1:11] = -np.log(2.0) * np.arange(1, 11)
    halves = World(tree, titles, edge)
    for place in (0, 3, 9):
        search = Places(tree, [Wish(1)], np.array([], np.int64), np.array([place]), exact=True)
        told = 0
        while wanted := search.wanted():
            for node in wanted:
                search.tell(node, halves.children(node))
                told += 1
        assert (search.found[0].above.tolist(), told) == ([place], max(place + 2, 3))


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "llama", dtype=torch.float64)


@pytest.mark.parametrize("share", [0.0, 1.0], ids=["whole", "search"])
@pytest.mark.parametrize("options", [{}, {"tree": "never"}], ids=str)
def test_the_policy_finds_what_counting_all_scores_finds(
    base: Path, tmp_path: Path, options: dict[str, Any], share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Items 0, 10 and 11 have one title: they tie. Every item of every row is asked for but what is left out."""
    monkeypatch.setattr(best, "SHARE", share)
    monkeypatch.setattr(best, "FEW_NODES", 0)
    made = policy(base, tmp_path, toy_splits(titles=[*TITLES, TITLES[0], TITLES[0]]), **options)
    assert isinstance(made, PlacesItems)
    rows = toy_splits().train[np.arange(3)]
    out = [[3], [], [0, 5, 7]]
    asked = Ragged.of([[item for item in range(12) if item not in one] for one in out])
    for exact in (True, False):
        found = made.place_items(rows, 5, asked, without=Ragged.of(out), rankings=RANKINGS, exact=exact)
        for ranking, one in zip(RANKINGS, found, strict=True):
            scores = (judged(made, rows) / (made.texts.title_lengths if ranking == "mean" else 1)).round(9)
            top = made.top_items(rows, 5, without=Ragged.of(out), ranking=ranking)
            assert (one.top.items == top.items).all()
            assert one.top.proven.all()
            for row in range(3):
                ranked = np.setdiff1d(np.arange(12), out[row])
                at = slice(asked.offsets[row], asked.offsets[row + 1])
                np.testing.assert_allclose(one.score[at], scores[row, ranked], atol=1e-8)
                above = (scores[row, ranked] > scores[row, ranked, None]).sum(axis=1)
                tied = (scores[row, ranked] == scores[row, ranked, None]).sum(axis=1) - 1
                sure = one.exact[at]
                assert (sure | (above >= 5)).all()
                assert sure.all() or not exact
                assert (one.above[at][sure] == above[sure]).all()
                assert (one.tied[at][sure] == tied[sure]).all()
                assert (one.above[at][~sure] >= 5).all()


def test_what_has_no_place_is_refused(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train[np.arange(2)]
    with pytest.raises(InputError, match="left out has no place"):
        made.place_items(rows, 3, Ragged.of([[1], [2]]), without=Ragged.of([[], [2]]))
    with pytest.raises(InputError, match="1 lists for 2 rows"):
        made.place_items(rows, 3, Ragged.of([[1]]))
