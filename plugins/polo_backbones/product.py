"""Products of each row's vector with those of its own listed items, without holding a vector for every list entry.

``[B, n, d]`` gathered vectors are what such products cost: written once forward and twice backward, far more than the
scores themselves. Here both gradients are weighted sums that read the tables where they lie, and so do the products on
a CPU; elsewhere a few rows' vectors are gathered at a time. Knows tensors; no policy.
"""

from __future__ import annotations

import warnings
from typing import Any, Final

import numpy as np
import torch
from jaxtyping import Float, Int
from scipy.sparse import csr_matrix
from torch import Tensor
from torch.nn.functional import embedding_bag

#: numbers that are gathered at a time; they should stay in a processor's cache
_GATHERED: Final = 1 << 18
#: the kinds of numbers for which there are ways that a CPU takes
_DOUBLE_OR_SINGLE: Final = (torch.float32, torch.float64)


def listed_products(
    rows: Float[Tensor, "b d"], table: Float[Tensor, "m d"], items: Int[Tensor, "b n"]
) -> Float[Tensor, "b n"]:
    """``s_bj = <rows_b, table[items_bj]>``, with gradient in rows and table; the same as by gathering, to rounding.

    Args:
        rows: a vector for each row.
        table: vectors of all items.
        items: int64, which of them each row is multiplied with; an item may occur more than once.

    Returns:
        Scores in the wider of both dtypes, also within autocast.

    Example (1 * 3 + 2 * 4 = 11, and 1 * 5 + 2 * 6 = 17):
        >>> rows, table = torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0, 4.0], [5.0, 6.0]])
        >>> listed_products(rows, table, torch.tensor([[0, 1, 1]])).tolist()
        [[11.0, 17.0, 17.0]]
    """
    dtype = torch.promote_types(rows.dtype, table.dtype)
    with torch.autocast(rows.device.type, enabled=False):
        scores: Tensor = _ListedProducts.apply(rows.to(dtype), table.to(dtype), items)  # type: ignore[no-untyped-call]
    return scores


def paired_products(rows: Float[Tensor, "b d"], vectors: Float[Tensor, "b n d"]) -> Float[Tensor, "b n"]:
    """``s_bj = <rows_b, vectors_bj>`` of few vectors that are gathered already.

    A matrix product for each row, which ``einsum`` takes, costs four times as much as multiplying and adding up.

    Returns:
        Scores in the wider of both dtypes, also within autocast.

    Example (1 * 3 + 2 * 4 = 11):
        >>> paired_products(torch.tensor([[1.0, 2.0]]), torch.tensor([[[3.0, 4.0]]])).tolist()
        [[11.0]]
    """
    dtype = torch.promote_types(rows.dtype, vectors.dtype)
    with torch.autocast(rows.device.type, enabled=False):
        scores: Tensor = torch.linalg.vecdot(rows.to(dtype)[:, None], vectors.to(dtype))
    return scores


class _ListedProducts(torch.autograd.Function):
    """``d rows_b = sum_j g_bj table[items_bj]``, ``d table_i = sum over (b, j) with items_bj = i of g_bj rows_b``."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Tensor, items: Tensor) -> Tensor:
        ctx.save_for_backward(rows, table, items)
        if not items.numel():
            return rows.new_zeros(items.shape)
        # torch looks for no more numbers than there are places, however often an item may be listed
        in_place = rows.device.type == "cpu" and rows.dtype in _DOUBLE_OR_SINGLE and items.shape[1] <= len(table)
        return _sampled(rows, table, items) if in_place else _gathered(rows, table, items)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        rows, table, items = ctx.saved_tensors
        g = gradients[0].contiguous()
        of_rows = of_table = None
        if not items.numel():
            return torch.zeros_like(rows), torch.zeros_like(table), None
        if ctx.needs_input_grad[0]:
            of_rows = embedding_bag(items.contiguous(), table, mode="sum", per_sample_weights=g)
        if ctx.needs_input_grad[1]:
            turned = _turned_in_memory if items.device.type == "cpu" and g.dtype in _DOUBLE_OR_SINGLE else _turned
            row, first, weights = turned(items, g, len(table))
            of_table = embedding_bag(row, rows, first, mode="sum", per_sample_weights=weights)
        return of_rows, of_table, None


def _gathered(rows: Tensor, table: Tensor, items: Tensor) -> Tensor:
    """Products of a few rows at a time, with a copy of their items' vectors."""
    many, n = items.shape
    step = max(1, _GATHERED // max(1, n * rows.shape[1]))
    parts = []
    for start in range(0, many, step):
        part = slice(start, start + step)
        vectors = table.index_select(0, items[part].reshape(-1)).view(-1, n, rows.shape[1])
        parts.append(torch.einsum("bd,bnd->bn", rows[part], vectors))
    return torch.cat(parts)


def _sampled(rows: Tensor, table: Tensor, items: Tensor) -> Tensor:
    """Places of the product of both tables, read where they lie."""
    many, n = items.shape
    with warnings.catch_warnings():  # torch says once in a process that it may yet rename what makes these
        warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
        wanted = torch.sparse_csr_tensor(
            torch.arange(0, (many + 1) * n, n), items.reshape(-1), rows.new_zeros(many * n),
            size=(many, len(table)), check_invariants=False,
        )  # fmt: skip
    found: Tensor = torch.sparse.sampled_addmm(wanted, rows.contiguous(), table.T, beta=0.0).values().view(many, n)
    return found


def _turned(items: Tensor, g: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of each item the rows that list it, where the first of these stands, and the numbers beside them."""
    flat = items.reshape(-1)
    order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=count)
    return order // items.shape[1], counts.cumsum(0) - counts, g.reshape(-1)[order]


def _turned_in_memory(items: Tensor, g: Tensor, count: int) -> tuple[Tensor, Tensor, Tensor]:
    """The same by counting, in a quarter of the time."""
    many, n = items.shape
    ends = np.arange(0, (many + 1) * n, n, dtype=np.int32)
    flat = items.reshape(-1).int().numpy()
    turned = csr_matrix((g.reshape(-1).numpy(), flat, ends), shape=(many, count)).tocsc()
    return torch.from_numpy(turned.indices), torch.from_numpy(turned.indptr[:-1]), torch.from_numpy(turned.data)
