"""Products of rows with their own listed items: value and gradient are those of gathered vectors."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from polo_backbones import product
from polo_backbones.product import listed_products, paired_products
from tests.polo_backbones.world import lists, made


def world(b: int, n: int, m: int, d: int, seed: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    rows, table, weight = (
        torch.randn(*shape, generator=generator, dtype=torch.float64) for shape in ((b, d), (m, d), (b, n))
    )
    items = torch.randint(0, m, (b, n), generator=generator)
    return rows.requires_grad_(), table.requires_grad_(), items, weight


@given(
    st.integers(0, 6),
    st.integers(0, 7),
    st.integers(1, 9),
    st.integers(1, 5),
    st.integers(1, 40),
    st.integers(0, 99),
    st.booleans(),
)
def test_law_products_and_gradients_are_those_of_gathered_vectors(
    b: int, n: int, m: int, d: int, gathered: int, seed: int, in_place: bool
) -> None:
    """Whatever is gathered at a time, with items that occur often, once (the last one too) and never."""
    rows, table, items, weight = world(b, n, m, d, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(product, "_GATHERED", gathered)
        if not in_place:  # as on a device that is no CPU
            patch.setattr(product, "_DOUBLE_OR_SINGLE", ())
        scores = listed_products(rows, table, items)
        ours = torch.autograd.grad((scores * weight).sum(), (rows, table))
    beside = paired_products(rows, table[items])
    expected = torch.einsum("bd,bnd->bn", rows, table[items])
    torch.testing.assert_close(scores, expected)
    theirs = torch.autograd.grad((expected * weight).sum(), (rows, table))
    torch.testing.assert_close(ours, theirs)
    torch.testing.assert_close(beside, expected)
    torch.testing.assert_close(torch.autograd.grad((beside * weight).sum(), (rows, table)), theirs)


def test_half_precision_is_computed_in_the_wider_type_within_autocast() -> None:
    rows, table, items, _ = world(3, 4, 5, 8, 0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        scores = listed_products(rows.float().bfloat16(), table.float(), items)
        beside = paired_products(rows.float().bfloat16(), table[items].float())
    assert scores.dtype == beside.dtype == torch.float32
    expected = torch.einsum("bd,bnd->bn", rows.float().bfloat16().float(), table[items].float())
    torch.testing.assert_close(scores, expected)
    torch.testing.assert_close(beside, expected)


@pytest.mark.parametrize("score", ["inner", "cosine"])
def test_a_policy_scores_and_learns_alike_by_every_form(score: str) -> None:
    """60 items: 2 rows with 5 are gathered, 30 rows with 5 are multiplied in place, 20 rows with 10 by the whole."""
    policy = made("mf", score=score)
    train = policy.splits.train[:30]
    found = {}
    for rows, n in ((2, 5), (30, 5), (20, 10)):
        items = lists(30, 10)[:rows, :n]
        policy.net.zero_grad()
        scores = policy.score(train[:rows], items)
        scores[:2, :5].square().sum().backward()
        found[rows] = scores[:2, :5].detach(), policy.net.user.weight.grad, policy.net.item.weight.grad
    torch.testing.assert_close(found[30], found[2])
    torch.testing.assert_close(found[20], found[2])
