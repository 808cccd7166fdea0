"""Products of each row's vector with those of its own listed items, without holding a vector for every list entry.

``[B, n, d]`` gathered vectors are what such products cost: written once forward and twice backward, far more than the
scores themselves. Here a few rows' vectors are gathered at a time, and both gradients are weighted sums that read the
tables where they lie. Knows tensors; no policy.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn.functional import embedding_bag

#: numbers that are gathered at a time; they should stay in a processor's cache
_GATHERED: Final = 1 << 18


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


class _ListedProducts(torch.autograd.Function):
    """``d rows_b = sum_j g_bj table[items_bj]``, ``d table_i = sum over (b, j) with items_bj = i of g_bj rows_b``."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, table: Tensor, items: Tensor) -> Tensor:
        ctx.save_for_backward(rows, table, items)
        many, n = items.shape
        if not items.numel():
            return rows.new_zeros(items.shape)
        step = max(1, _GATHERED // max(1, n * rows.shape[1]))
        parts = []
        for start in range(0, many, step):
            part = slice(start, start + step)
            gathered = table.index_select(0, items[part].reshape(-1)).view(-1, n, rows.shape[1])
            parts.append(torch.einsum("bd,bnd->bn", rows[part], gathered))
        return torch.cat(parts)

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
            flat = items.reshape(-1)
            order, counts = flat.argsort(stable=True), torch.bincount(flat, minlength=len(table))
            first, weights = counts.cumsum(0) - counts, g.reshape(-1)[order]
            of_table = embedding_bag(order // items.shape[1], rows, first, mode="sum", per_sample_weights=weights)
        return of_rows, of_table, None
