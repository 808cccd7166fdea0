"""What the whole catalogue scores together, with gradient, and never all scores at once.

``log sum_i exp <u, v_i>`` of each row: items are taken some at a time, going there and going back, and what was thrown
away is computed again. Memory grows with rows and with items, not with their product. Knows vectors; no loss.
"""

from __future__ import annotations

from typing import Any, Final

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

from polo.data import Rows
from polo.protocols import Embeds
from polo.sending import sent

#: scores that are held at a time; memory, not mathematics. A GPU has room for more, and pays for every launch
ENTRIES: Final = 1 << 20
ON_GPU: Final = 1 << 24


class _LogTotal(torch.autograd.Function):
    """d/du = g p V and d/dV = (g p)^T u with p the softmax, which is had again from scores and their total."""

    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, width: int) -> Tensor:
        total = users.new_full((len(users),), -torch.inf)
        for part in items.split(width):
            total = torch.logaddexp(total, (users @ part.T).logsumexp(dim=-1))
        ctx.save_for_backward(users, items, total)
        ctx.width = width
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor, None]:
        users, items, total = ctx.saved_tensors
        to_users, to_items = torch.zeros_like(users), torch.empty_like(items)
        for start in range(0, len(items), ctx.width):
            part = items[start : start + ctx.width]
            share = (users @ part.T).sub_(total[:, None]).exp_().mul_(gradient[:, None])
            to_users.addmm_(share, part)
            torch.mm(share.T, users, out=to_items[start : start + ctx.width])
        return to_users, to_items, None


def log_total(
    users: Float[Tensor, "b d"], items: Float[Tensor, "n d"], entries: int | None = None
) -> Float[Tensor, " b"]:
    """``log sum_i exp <u, v_i>`` of each row, with gradient (once) to both.

    Args:
        users: a vector of each row.
        items: a vector of each item, at least one.
        entries: scores that are held at a time, at least one item's of all rows; what suits the device if not given.

    Example (two items that score 0 and log 3: log 4):
        >>> round(log_total(torch.tensor([[1.0]]), torch.tensor([[0.0], [1.0986123]]), entries=1).item(), 4)
        1.3863
    """
    held = (ON_GPU if users.device.type == "cuda" else ENTRIES) if entries is None else entries
    width = max(1, held // max(1, len(users)))
    total: Tensor = _LogTotal.apply(users, items, width)  # type: ignore[no-untyped-call]
    return total


def scored_with_total(policy: Embeds, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b m"]:
    """Scores ``[B, n]`` of ``items`` and, in one more column, the log-total of the whole catalogue; float32 at least.

    Both are products of the same vectors, so that they fit each other whatever type a forward computes in.
    """
    users, vectors = policy.vectors(rows)
    if users.dtype in (torch.float16, torch.bfloat16):
        users, vectors = users.float(), vectors.float()
    scores = torch.linalg.vecdot(users[:, None], vectors[sent(items, vectors.device)])
    return torch.cat([scores, log_total(users, vectors)[:, None]], dim=1)
