"""How the rows of a batch are split into forward passes. Memory, not mathematics: any split gives the same gradient."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

if TYPE_CHECKING:
    from polo.data import Rows
    from polo.protocols import Policy

IntArray = npt.NDArray[np.int64]


def passes(cost: IntArray, budget: int) -> list[IntArray]:
    """Groups rows of like length so that each group costs at most ``budget``.

    Args:
        cost: ``[B]`` flat tokens of each row.
        budget: the most that one pass may cost; a row that costs more gets a pass of its own.

    Returns:
        Index arrays that together hold each row once, longest rows first (so that running out of memory happens in
        the first pass, not in the last).

    Example:
        >>> import numpy as np
        >>> [p.tolist() for p in passes(np.array([30, 50, 20, 40]), budget=90)]
        [[1, 3], [0, 2]]
    """
    order = np.argsort(-cost, kind="stable")
    groups: list[list[int]] = []
    spent = budget + 1
    for i in order:
        if spent + cost[i] > budget:
            groups.append([])
            spent = 0
        groups[-1].append(int(i))
        spent += int(cost[i])
    return [np.asarray(group, dtype=np.int64) for group in groups]


def score_in_passes(policy: Policy, rows: Rows, items: Tensor, budget: int) -> Tensor:
    """``policy.score(rows, items)`` computed in as many passes as ``budget`` asks for, in the order of ``rows``."""
    groups = passes(policy.cost(rows, items.shape[1]), budget)
    scored = [policy.score(rows[index], items[torch.from_numpy(index).to(items.device)]) for index in groups]
    order = torch.from_numpy(np.concatenate(groups)).argsort()
    together = torch.cat(scored)
    return together[order.to(together.device)]
