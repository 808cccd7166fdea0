"""The best columns: those of a stable sort of everything, whatever is equal to what."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from polo import best_columns


@given(st.integers(0, 5), st.integers(1, 12), st.integers(1, 14), st.sampled_from([2, 4, 50]), st.integers(0, 999))
def test_law_the_best_are_the_first_of_a_stable_sort(b: int, n: int, k: int, levels: int, seed: int) -> None:
    """From hardly any ties to nothing but ties, also at the last place; the worst level is what is left out."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, (b, n), generator=generator).double()
    scores[scores == 0] = -torch.inf
    before = scores.clone()
    columns, values = best_columns(scores, k)
    expected, order = scores.sort(dim=1, descending=True, stable=True)
    assert columns.tolist() == order[:, :k].tolist()
    assert values.tolist() == expected[:, :k].tolist()
    assert scores.equal(before)


@given(
    st.integers(1, 4), st.integers(16, 300), st.integers(1, 18), st.sampled_from([2, 9, 100_000]), st.integers(0, 999)
)
def test_law_the_best_of_many_columns_are_the_first_of_a_stable_sort(
    b: int, n: int, k: int, levels: int, seed: int
) -> None:
    """32-bit numbers of both signs, a zero with either; the lowest level is what is left out."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randint(0, levels, (b, n), generator=generator).float() - levels // 2
    scores[:, 1] = -0.0
    scores[scores == -(levels // 2)] = -torch.inf
    scores[0] = torch.where(torch.arange(n) < 3, scores[0], -torch.inf)  # fewer than k that are not left out
    columns, values = best_columns(scores, k)
    expected, order = scores.sort(dim=1, descending=True, stable=True)
    assert columns.tolist() == order[:, :k].tolist()
    assert values.tolist() == expected[:, :k].tolist()
    turned, _ = best_columns(scores.T.contiguous().T, k)
    assert turned.equal(columns), "whatever the order in memory"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_tie_beyond_the_last_place_goes_to_the_lower_column(dtype: torch.dtype) -> None:
    """2 is the best; of the three that score 1 the first stands second, whichever a partial search would find."""
    scores = torch.tensor([[1.0, 1.0, 2.0, 1.0], [4.0, 1.0, 2.0, 3.0]], dtype=dtype)
    columns, values = best_columns(scores, 2)
    assert columns.tolist() == [[2, 0], [0, 3]]
    assert values.tolist() == [[2.0, 1.0], [4.0, 3.0]]
    assert values.dtype == dtype
