"""Rows as positions of sequences: what shares a forward, what is causal, and that sharing changes nothing."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo import PAD, IntArray, Rows, SharesForwards
from polo.testing import small_splits
from polo_backbones.sequences import Windows, left_aligned, pack
from polo_backbones.sequential import SequenceNet, SequencePolicy
from tests.polo_backbones.world import SEQUENTIAL, SPLITS, lists, made

sequential = pytest.mark.parametrize("name", SEQUENTIAL)


def aligned(histories: list[list[int]], width: int) -> IntArray:
    return np.array([h + [PAD] * (width - len(h)) for h in histories], dtype=np.int64).reshape(len(histories), width)


@given(st.lists(st.lists(st.integers(0, 3), max_size=4), min_size=1, max_size=12))
def test_law_every_history_stands_at_its_place_and_none_is_packed_twice(histories: list[list[int]]) -> None:
    packed = pack(aligned(histories, 4))
    for shown, sequence, position in zip(histories, packed.sequence, packed.position, strict=True):
        assert packed.items[sequence, : position + 1].tolist() == shown
    kept = [tuple(i for i in line if i != PAD) for line in packed.items.tolist()]
    assert not any(a != b and b[: len(a)] == a for a in kept for b in kept), "a beginning stands alone"
    assert len(set(kept)) == len(kept)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(0, 30))
def test_law_stride_rows_begin_alike_and_none_leaves_out_more_than_stride_less_one(h: int, s: int, n: int) -> None:
    s = min(s, h)
    taken = np.arange(n + 2)
    history = np.full((n + 1, h), PAD)
    for i in range(n + 1):
        window = taken[: i + 1][-h:]
        history[i, h - len(window) :] = window
    rows = Rows(np.arange(n + 1) + 50, np.zeros(n + 1, np.int64), history, taken[1:])
    windows = Windows(rows, s)
    leave, shared = windows.leave(rows), windows.shared(rows)
    lengths = (history != PAD).sum(axis=1)
    assert bool(((leave >= 0) & (leave < s) & (leave < lengths)).all())
    first = left_aligned(history, leave)[:, 0]
    assert bool((first % s == 0).all()), "items are their own places"
    assert [len(set(first[shared == g])) for g in np.unique(shared)] == [1] * len(np.unique(first))
    packed = pack(left_aligned(history, leave))
    assert len(packed.items) == len(np.unique(shared)), "what belongs together is one sequence"
    assert windows.leave(replace(rows, id=rows.id + 1000)).tolist() == [0] * (n + 1), "rows of other splits"


def test_rows_that_do_not_continue_one_another_are_read_from_a_beginning_of_their_own() -> None:
    history = np.array([[1, 2, 3], [7, 8, 9], [8, 9, 4]])
    rows = Rows(np.array([5, 3, 9]), np.array([0, 0, 0]), history, np.array([6, 4, 0]))
    windows = Windows(rows, 2)
    assert windows.leave(rows).tolist() == [0, 0, 1]
    assert windows.shared(rows).tolist() == [0, 1, 2]


@sequential
def test_law_a_state_depends_on_nothing_that_comes_later(name: str) -> None:
    policy = made(name)
    net = policy.net
    assert isinstance(net, SequenceNet)
    items = lists(3, 5)
    states = net.states(items)
    for place in range(5):
        later = items.clone()
        later[:, place + 1 :] = (later[:, place + 1 :] + 17) % 60
        assert torch.equal(net.states(later)[:, : place + 1], states[:, : place + 1])
        earlier = items.clone()
        earlier[:, place] = (earlier[:, place] + 17) % 60
        assert not torch.allclose(net.states(earlier)[:, place:], states[:, place:])


@sequential
def test_law_padding_changes_no_score(name: str) -> None:
    policy = made(name)
    rows, items = SPLITS.train, lists(len(SPLITS.train), 5)
    for i in range(0, len(rows), 7):
        one = rows[i : i + 1]
        alone = policy.score(one, items[i : i + 1])
        torch.testing.assert_close(alone, policy.score(rows, items)[i : i + 1], rtol=0, atol=1e-12)
        shown = one.history[:, one.history[0] != PAD]
        bare = replace(one, history=np.concatenate([np.full((1, 5 - shown.shape[1]), PAD), shown], axis=1))
        assert torch.equal(policy.score(bare, items[i : i + 1]), alone)


@sequential
@pytest.mark.parametrize("stride", [1, 2, 5])
def test_law_one_forward_for_all_positions_has_the_loss_and_gradient_of_row_by_row(name: str, stride: int) -> None:
    policy = made(name, stride=stride)
    rows, items = SPLITS.train, lists(len(SPLITS.train), 6)

    def loss(parts: list[Rows], listed: list[torch.Tensor]) -> tuple[float, dict[str, torch.Tensor]]:
        policy.net.zero_grad()
        total = torch.zeros((), dtype=torch.float64)
        for part, chosen in zip(parts, listed, strict=True):
            total = total - policy.score(part, chosen).log_softmax(dim=1)[:, 0].sum()
        total.backward()
        return total.item(), {n: p.grad.clone() for n, p in policy.net.named_parameters() if p.grad is not None}

    together = loss([rows], [items])
    apart = loss([rows[i : i + 1] for i in range(len(rows))], list(items.split(1)))
    assert together[0] == pytest.approx(apart[0], abs=1e-9)
    for key, gradient in together[1].items():
        torch.testing.assert_close(gradient, apart[1][key], rtol=0, atol=1e-9)


@sequential
def test_rows_of_a_user_cost_one_forward(name: str) -> None:
    policy = made(name, small_splits(history=12))
    assert isinstance(policy, SequencePolicy)
    assert isinstance(policy, SharesForwards)
    rows = policy.splits.train
    batch = policy.batch(policy.fed(rows))
    assert len(np.unique(policy.shared(rows))) == len(np.unique(rows.user))
    assert len(batch["items"]) <= len(np.unique(rows.user)), "beginnings of one user may be those of another"
    assert len(np.unique(policy.cost(rows, 4))) == 1, "passes keep neighbours together"


@sequential
def test_a_row_without_history_has_a_vector_of_its_own(name: str) -> None:
    policy = made(name)
    empty = replace(SPLITS.test[:2], history=np.full((2, 5), PAD))
    score = policy.score(empty, lists(1, 4).expand(2, -1))
    assert torch.equal(score[0], score[1])
    assert bool(score.isfinite().all())
    mixed = replace(SPLITS.test[:2], history=np.stack([np.full(5, PAD), SPLITS.test.history[1]]))
    assert torch.equal(policy.score(mixed, lists(1, 4).expand(2, -1))[0], score[0])
