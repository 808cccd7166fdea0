"""Vectors of length 1: value and gradients are those of torch's own, also of zeros."""

from __future__ import annotations

import torch
from hypothesis import given
from hypothesis import strategies as st

from polo_backbones.lengths import unit_length


@given(st.integers(0, 4), st.integers(1, 3), st.integers(1, 6), st.integers(0, 99))
def test_law_value_and_gradient_are_those_of_normalize(a: int, b: int, d: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    vectors, weight = (torch.randn(a, b, d, generator=generator, dtype=torch.float64) for _ in range(2))
    vectors[:1] = 0
    vectors.requires_grad_()
    ours, theirs = unit_length(vectors), torch.nn.functional.normalize(vectors, dim=-1, eps=1e-12)
    torch.testing.assert_close(ours, theirs)
    (mine,), (other,) = (torch.autograd.grad((y * weight).sum(), vectors) for y in (ours, theirs))
    torch.testing.assert_close(mine, other)


def test_the_gradient_has_a_gradient() -> None:
    vectors = torch.randn(3, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(unit_length, (vectors,))
    assert torch.autograd.gradgradcheck(unit_length, (vectors,))
