"""Draws of titles: by which law, how likely they say they are, and what comes of it in a sampled softmax."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import FloatArray, IntArray, PoloError, RowRandom, Scores
from polo.testing import context
from polo_causal_lm.topk.draws import Draws
from polo_causal_lm.topk.titles import TitleTree
from polo_preference.samplers.weighted import log_q
from tests.contracts.components import make

NOTHING = np.empty(0, np.int64)
#: titles of equal text, one that goes on after another's end, a common beginning, and a single token
TITLES = [np.array(ids) for ids in ([5, 2], [5, 6, 2], [5, 2], [5, 2, 6, 2], [7, 6, 2], [7, 5, 2], [2])]
TREE = TitleTree.of(TITLES)


def children(tree: TitleTree, node: int) -> range:
    return range(int(tree.child[node]), int(tree.child[node + 1]))


def model(tree: TitleTree, seed: int, whole: float = 0.8) -> dict[int, FloatArray]:
    """Log-probabilities of the children of every node; ``whole`` of the probability is theirs together."""
    rng = np.random.default_rng(seed)
    shares = {node: rng.dirichlet(np.ones(len(kids))) for node in range(len(tree)) if (kids := children(tree, node))}
    return {node: np.log(whole * share) for node, share in shares.items()}


def drawn(tree: TitleTree, logps: dict[int, FloatArray], k: int, without: IntArray, rng: RowRandom) -> Draws:
    draws = Draws(tree, k, without, rng)
    while nodes := draws.wanted():
        for node in nodes:
            draws.tell(node, logps[node])
    return draws


def judged(tree: TitleTree, logps: dict[int, FloatArray], without: IntArray) -> FloatArray:
    """q of every item by walking the whole tree, 0 for what is left out."""
    free = ~np.isin(tree.order, without)
    q = np.zeros(len(tree.order))

    def walk(node: int, p: float) -> None:
        low, high, ends = int(tree.low[node]), int(tree.high[node]), int(tree.ends[node])
        here, below = free[low : low + ends].sum(), free[low + ends : high].sum()
        q[tree.order[low : low + ends][free[low : low + ends]]] = p / max(1, here + below)
        rest = p * below / (here + below) if here else p
        kids = [kid for kid in children(tree, node) if free[int(tree.low[kid]) : int(tree.high[kid])].any()]
        each = np.array([np.exp(logps[node][kid - int(tree.child[node])]) for kid in kids])
        for kid, share in zip(kids, each / each.sum() if len(each) else each, strict=True):
            walk(kid, rest * share)

    walk(0, 1.0)
    return q


@given(st.integers(0, 10**6), st.lists(st.integers(0, 6), max_size=4, unique=True), st.integers(1, 8))
@settings(max_examples=60, deadline=None)
def test_law_different_allowed_items_are_drawn_and_say_how_likely_they_were(seed: int, out: list[int], k: int) -> None:
    logps, without = model(TREE, seed), np.array(out, np.int64)
    draws, q = drawn(TREE, logps, k, without, RowRandom(seed)), judged(TREE, logps, without)
    assert draws.allowed == 7 - len(out)
    assert len(draws.items) == len(set(draws.items.tolist())) == min(k, 7 - len(out))
    assert not set(draws.items.tolist()) & set(out)
    np.testing.assert_allclose(np.exp(draws.logq), q[draws.items], rtol=1e-12)
    assert q.sum() == pytest.approx(1.0)


def test_draws_in_a_row_are_those_without_replacement() -> None:
    """Ordered pairs of five items: P(i, j) = q_i q_j / (1 - q_i); 4,000 rows, within five deviations each."""
    logps, without, n = model(TREE, 3), np.array([2, 6]), 4_000
    q = judged(TREE, logps, without)
    seen = np.zeros((7, 7))
    for row in range(n):
        first, second = drawn(TREE, logps, 2, without, RowRandom("row", row)).items
        seen[first, second] += 1
    expected = n * q[:, None] * q[None, :] / (1 - q[:, None])
    np.fill_diagonal(expected, 0.0)
    assert (np.abs(seen - expected) <= 5 * np.sqrt(expected) + 1e-9).all()


def test_few_nodes_of_a_large_tree_are_looked_at() -> None:
    """1,000 titles of five tokens: k draws need k ways of five nodes each, and what was hoped for besides."""
    rng = np.random.default_rng(0)
    tree = TitleTree.of([np.append(rng.integers(3, 9, 4), 2) for _ in range(1000)])
    logps, looked = model(tree, 1), 0
    draws = Draws(tree, 4, NOTHING, RowRandom(5))
    while nodes := draws.wanted():
        looked += len(nodes)
        for node in nodes:
            draws.tell(node, logps[node])
    assert len(draws.items) == 4
    assert looked <= 2 * 4 * 5 < tree.inner / 10


def test_what_is_impossible_is_drawn_last_and_nan_is_refused() -> None:
    tree = TitleTree.of([np.array([5, 2]), np.array([6, 2])])
    logps = {0: np.array([0.0, -np.inf]), 1: np.zeros(1), 2: np.zeros(1)}
    for seed in range(20):
        assert drawn(tree, logps, 2, NOTHING, RowRandom(seed)).items.tolist() == [0, 1]
    draws = Draws(tree, 1, NOTHING, RowRandom(0))
    draws.wanted()
    with pytest.raises(PoloError, match="NaN"):
        draws.tell(0, np.array([np.nan, 0.0]))


@pytest.mark.parametrize("k", [1, 2, 3])
def test_the_sampled_softmax_of_such_draws_has_the_gradient_of_the_whole_one(k: int) -> None:
    """All ordered draws of k of five items, each with its probability: no chance is left.

    The policy's scores are log q, as of a model that writes these titles only, and beta is 1 over a flat reference. So
    ``exp(s_j) / q_j`` is the same for all, the estimate of the sum is the sum, and the gradient of the loss averages
    to that of ``log(1 + sum over all j of exp(s_j - s_w))``.
    """
    logps, without = model(TREE, 8, whole=1.0), np.array([2, 3])
    q = judged(TREE, logps, without)
    items = np.flatnonzero(q)
    own = torch.log(torch.from_numpy(q[items]))
    chosen = torch.tensor(-1.5, dtype=torch.float64)

    def gradient(at: list[int], weight: torch.Tensor | None) -> torch.Tensor:
        scores = own.clone().requires_grad_()
        target = chosen.clone().requires_grad_()
        if weight is None:
            loss = torch.log1p(torch.exp(scores - target).sum())
        else:
            row = torch.cat([target[None], scores[torch.tensor(at)]])[None]
            given = Scores.of(row, ref=torch.zeros_like(row), log_q=weight)
            ones = torch.ones(1, len(at), dtype=torch.float64)
            loss = make("loss", "sdpo_sampled", context())(given, ones.bool(), ones)[0]
        return torch.cat([one.reshape(-1) for one in torch.autograd.grad(loss, [scores, target])])

    expected, found, total = gradient([], None), torch.zeros(len(items) + 1, dtype=torch.float64), 0.0
    for order in permutations(range(len(items)), k):
        weights = q[items][list(order)]
        left = 1 - np.concatenate([[0.0], np.cumsum(weights)[:-1]])
        chance = float(np.prod(weights / left))
        said = log_q(weights[None], np.ones((1, k), bool), np.ones(1), np.array([len(items)]))
        found += chance * gradient(list(order), torch.from_numpy(said))
        total += chance
    assert total == pytest.approx(1.0)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
