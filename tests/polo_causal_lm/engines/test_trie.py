"""Titles as a tree of tokens: every title is spelt once, beginnings are shared, branches are small."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from polo_causal_lm.engines.trie import Branch, Trie

END = 2
#: few tokens, so that titles share beginnings, are beginnings of each other, and occur twice; the end token may stand
#: within a title too
Titles = st.lists(
    st.lists(st.integers(2, 5), max_size=5).map(lambda ids: np.array([*ids, END])), min_size=1, max_size=30
)


def beginnings(titles: list[np.ndarray]) -> set[tuple[int, ...]]:
    """What titles go on from: all proper beginnings, the empty one among them."""
    return {tuple(title[:j].tolist()) for title in titles for j in range(len(title))}


def spelt(branch: Branch, node: int) -> tuple[int, ...]:
    """The tokens on the way to a node."""
    return tuple(branch.tokens[branch.path[node, 1 : branch.depth[node] + 1]].tolist())


@given(Titles, st.integers(1, 40))
def test_the_edges_of_a_title_spell_it_each_from_the_node_of_what_stands_before(
    titles: list[np.ndarray], most: int
) -> None:
    for branch in Trie(titles).branches(most):
        for title, slots in zip(branch.titles, branch.slots, strict=True):
            edges = slots[slots < len(branch.token)]
            assert branch.token[edges].tolist() == titles[title].tolist()
            before = [spelt(branch, node) for node in branch.state[edges]]
            assert before == [tuple(titles[title][:j].tolist()) for j in range(len(edges))]


@given(Titles)
def test_a_tree_in_one_piece_has_a_node_for_each_beginning_and_an_edge_for_each_token_after_it(
    titles: list[np.ndarray],
) -> None:
    (branch,) = Trie(titles).branches(1000)
    assert Trie(titles).nodes == len(branch)
    assert len({spelt(branch, node) for node in range(len(branch))}) == len(branch) == len(beginnings(titles))
    assert len(branch.token) == len({tuple(title[: j + 1].tolist()) for title in titles for j in range(len(title))})
    assert len(set(zip(branch.state.tolist(), branch.token.tolist(), strict=True))) == len(branch.token)


@given(Titles, st.integers(1, 40))
def test_branches_hold_every_title_once_and_no_more_nodes_than_asked_for(titles: list[np.ndarray], most: int) -> None:
    branches = Trie(titles).branches(most)
    assert sorted(np.concatenate([b.titles for b in branches]).tolist()) == list(range(len(titles)))
    assert all(len(b) <= most or len({tuple(titles[i].tolist()) for i in b.titles}) == 1 for b in branches)


@settings(max_examples=30)
@given(Titles, st.integers(1, 40))
def test_parents_stand_before_children_and_states_ascend(titles: list[np.ndarray], most: int) -> None:
    for branch in Trie(titles).branches(most):
        nodes = np.arange(1, len(branch))
        assert (branch.path[nodes, branch.depth[nodes] - 1] < nodes).all()
        assert (branch.path[np.arange(len(branch)), branch.depth] == np.arange(len(branch))).all()
        assert (np.diff(branch.state) >= 0).all()


def test_what_branches_share_is_at_most_a_path_each() -> None:
    rng = np.random.default_rng(0)
    titles = [np.append(rng.integers(3, 9, rng.integers(1, 8)), END) for _ in range(2000)]
    tree = Trie(titles)
    branches = tree.branches(100)
    assert sum(len(b) for b in branches) <= len(beginnings(titles)) + len(branches) * 8
    assert len(branches) <= 1 + len(beginnings(titles)) // (100 - 8)
