"""Passes are memory, not mathematics: the gradient of a batch is the same however it is split."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from polo.data import Rows
from polo.errors import PoloError
from polo.model.passes import passes, pieces
from polo.model.reference import Reference, ScoreCache
from polo.model.weights import snapshot
from polo.randomness import RowRandom, seed_of
from polo.scores import Scores
from polo.train.objective import Objective
from polo.train.step import Stepper
from tests.toy_objective import Centred, FirstK, Pairs
from tests.toy_policy import ToyPolicy, toy_rows


def gradient(policy: ToyPolicy, loss: object, rows: Rows, budget: int, reference: bool = False) -> list[Tensor]:
    frozen = Reference(policy, snapshot(policy.module), ScoreCache(None, {}, print), budget) if reference else None
    objective = Objective(loss=loss, sampler=FirstK(), beta=None, reference=frozen)
    Stepper(policy, objective, Accelerator(cpu=True), budget, (0, "test")).backward(rows, 0, 0, 0.0)
    found = [p.grad.clone() for p in policy.module.parameters()]
    policy.module.zero_grad()
    return found


@pytest.mark.parametrize("loss", [Pairs(), Centred()])
@given(budget=st.integers(1, 300))
def test_any_split_into_passes_gives_the_same_gradient(loss: object, budget: int) -> None:
    policy = ToyPolicy()
    rows = toy_rows()
    whole, split = gradient(policy, loss, rows, 10**6), gradient(policy, loss, rows, budget)
    for a, b in zip(whole, split, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("reference", [False, True])
@pytest.mark.parametrize("loss", [Pairs(), Centred()])
def test_law_a_row_too_long_for_a_pass_is_cut_into_columns_with_the_same_gradient(
    loss: object, reference: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What a pass holds is at most two of the five columns of a row."""
    policy, rows = ToyPolicy(), toy_rows()
    whole = gradient(policy, loss, rows, 10**6, reference)
    budget, seen, score = int(policy.cost(rows, 2).max()), [], ToyPolicy.score

    def watched(self: ToyPolicy, some: Rows, items: Tensor) -> Tensor:
        seen.append(int(policy.cost(some, items.shape[1]).sum()))
        return score(self, some, items)

    monkeypatch.setattr(ToyPolicy, "score", watched)
    cut = gradient(policy, loss, rows, budget, reference)
    assert len(seen) > len(rows)
    assert max(seen) <= budget
    for a, b in zip(whole, cut, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@given(cost=st.lists(st.integers(1, 50), min_size=1, max_size=8), each=st.integers(0, 20), n=st.integers(1, 9),
       budget=st.integers(1, 200))  # fmt: skip
def test_law_pieces_hold_every_place_once_and_keep_to_the_budget(
    cost: list[int], each: int, n: int, budget: int
) -> None:
    def of(width: int) -> np.ndarray:
        return np.array(cost) + each * width

    held = np.zeros((len(cost), n), dtype=int)
    for rows, columns in pieces(of, n, budget):
        held[rows, columns] += 1
        width = len(range(n)[columns])
        assert of(width)[rows].sum() <= budget or (len(rows) == 1 and (width == 1 or each == 0))
    assert (held == 1).all()


@given(cost=st.integers(1, 50), each=st.integers(0, 20), n=st.integers(1, 33), budget=st.integers(1, 400))
def test_law_a_row_is_cut_into_no_more_pieces_than_halving_its_width_until_it_fits_gives(
    cost: int, each: int, n: int, budget: int
) -> None:
    """Each piece reads the row's prompt again. Pieces of a row are as even as whole columns allow."""
    widths = [n]
    while cost + each * widths[-1] > budget and widths[-1] > 1 and each > 0:
        widths.append((widths[-1] + 1) // 2)
    found = pieces(lambda width: np.array([cost + each * width]), n, budget)
    assert len(found) == -(-n // widths[-1])
    sizes = [len(range(n)[columns]) for _, columns in found]
    assert max(sizes) - min(sizes) <= 1
    assert all(rows.tolist() == [0] for rows, _ in found)


def test_a_head_that_needs_the_whole_batch_recomputes_with_the_same_dropout() -> None:
    """Each pass is computed twice. The judge computes it once, under the same seeds, and keeps the whole graph."""
    policy, rows = ToyPolicy(dropout=0.5), toy_rows()
    policy.module.train()
    found = gradient(policy, Centred(), rows, 60)
    draw = FirstK().draw(rows, RowRandom(0), None)
    items = torch.cat([torch.from_numpy(rows.target)[:, None], draw.items], dim=1)
    groups = passes(policy.cost(rows, 5), 60)
    assert len(groups) > 2
    scored = []
    for part, index in enumerate(groups):
        torch.manual_seed(seed_of(0, "test", "dropout", 0, 0, part))
        scored.append(policy.module(torch.from_numpy(rows.history[index]), items[index]))
    scores = torch.cat(scored)[torch.from_numpy(np.concatenate(groups)).argsort()]
    loss = Centred()(Scores.of(scores), draw.valid, torch.ones(draw.valid.shape))[draw.valid[:, 0]].mean()
    for a, b in zip(found, torch.autograd.grad(loss, list(policy.module.parameters())), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


@given(order=st.permutations(range(12)))
def test_the_order_of_rows_in_a_batch_does_not_change_the_gradient(order: list[int]) -> None:
    policy, rows = ToyPolicy(), toy_rows(12)
    a, b = gradient(policy, Pairs(), rows, 80), gradient(policy, Pairs(), rows[np.array(order)], 80)
    for x, y in zip(a, b, strict=True):
        torch.testing.assert_close(x, y, rtol=1e-12, atol=1e-14)


def test_rows_without_negatives_leave_the_mean() -> None:
    """Rows 0, 3, 6, ... have no negative: the gradient is that of the other rows alone."""
    policy, rows = ToyPolicy(), toy_rows(12)
    others = rows[np.flatnonzero(rows.id % 3 != 0)]
    for a, b in zip(gradient(policy, Pairs(), rows, 500), gradient(policy, Pairs(), others, 500), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_the_gradient_is_that_of_the_mean_loss_computed_directly() -> None:
    policy, rows = ToyPolicy(), toy_rows(9)
    found = gradient(policy, Pairs(), rows, 50)
    draw = FirstK().draw(rows, RowRandom(0), None)
    items = torch.cat([torch.from_numpy(rows.target)[:, None], draw.items], dim=1)
    scores = policy.module(torch.from_numpy(rows.history), items)
    loss = torch.nn.functional.softplus(-(scores[:, :1] - scores[:, 1:])).mean(dim=1)[draw.valid[:, 0]].mean()
    for a, b in zip(found, torch.autograd.grad(loss, list(policy.module.parameters())), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=1e-14)


def test_a_loss_that_is_not_finite_names_its_row() -> None:
    policy, rows = ToyPolicy(), toy_rows(9)
    with torch.no_grad():
        policy.module.inside.weight[int(rows.history[4, -1])] = float("nan")
    with pytest.raises(PoloError, match=r"row \d+, user \d+, item \d+: the loss is nan"):
        gradient(policy, Pairs(), rows, 50)


def test_the_reference_is_constant_and_computed_once() -> None:
    """At policy = reference all ratios are 0, so the gradient is that of the plain scores at zero margin."""
    policy, rows = ToyPolicy(), toy_rows(9)
    reference = Reference(policy, snapshot(policy.module), ScoreCache(None, {}, print), 1000)
    objective = Objective(loss=Pairs(), sampler=FirstK(), beta=None, reference=reference)
    stepper = Stepper(policy, objective, Accelerator(cpu=True), 1000, (0, "test"))
    (judged,) = stepper.backward(rows, 0, 0, 0.0)
    torch.testing.assert_close(judged.scores.log_ratio, torch.zeros_like(judged.scores.log_ratio))
    assert policy.forwards == 2
    stepper.backward(rows, 1, 0, 0.0)
    assert policy.forwards == 3


@given(cost=st.lists(st.integers(1, 100), min_size=1, max_size=40), budget=st.integers(1, 200))
def test_passes_hold_every_row_once_and_keep_to_the_budget(cost: list[int], budget: int) -> None:
    groups = passes(np.array(cost), budget)
    assert sorted(i for group in groups for i in group) == list(range(len(cost)))
    assert all(len(group) == 1 or sum(cost[i] for i in group) <= budget for group in groups)
