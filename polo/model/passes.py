"""How the rows of a batch are split into forward passes. Memory, not mathematics: any split gives the same gradient."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from polo.data import IntArray
from polo.model.sharding import agreed, is_sharded
from polo.protocols import ScoresMany
from polo.sending import sent

if TYPE_CHECKING:
    from polo.data import Rows
    from polo.protocols import Policy


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
    if len(cost) and int(cost.sum()) <= budget:  # most often; the rest counts row by row
        return [order]
    groups: list[list[int]] = []
    spent = budget + 1
    for i in order:
        if spent + cost[i] > budget:
            groups.append([])
            spent = 0
        groups[-1].append(int(i))
        spent += int(cost[i])
    return [np.asarray(group, dtype=np.int64) for group in groups]


def pieces(cost: Callable[[int], IntArray], n: int, budget: int) -> list[tuple[IntArray, slice]]:
    """Passes as :func:`passes` makes them, but a row that costs more than ``budget`` is cut into columns of its own.

    Args:
        cost: from a number of columns to the flat tokens of each of the B rows.
        n: columns of the scores.
        budget: the most that one pass may cost; a row that costs more with one column gets a pass for each column, and
            one whose columns cost nothing is not cut.

    Returns:
        Rows and columns of each pass; together they hold every place of ``[B, n]`` once.

    Example:
        >>> import numpy as np
        >>> def cost(n):  # prompts of 10 and 40 tokens, 10 tokens a column
        ...     return np.array([10, 40]) + 10 * n
        >>> [(rows.tolist(), columns) for rows, columns in pieces(cost, 4, 60)]
        [([0], slice(None, None, None)), ([1], slice(0, 2, None)), ([1], slice(2, 4, None))]
    """
    whole = cost(n)
    fitting, long = np.flatnonzero(whole <= budget), np.flatnonzero(whole > budget)
    found = [(fitting[group], slice(None)) for group in passes(whole[fitting], budget) if len(group)]
    for row in long:
        width, now = n, int(whole[row])
        while now > budget:
            fewer = int(cost((width + 1) // 2)[row])
            if fewer >= now:  # one column is left, or columns cost nothing: cutting would only repeat the rest
                break
            width, now = (width + 1) // 2, fewer
        count = math.ceil(n / width)
        found += [(np.array([row]), columns) for columns in (evenly(n, count) if count > 1 else [slice(None)])]
    return found


def evenly(n: int, count: int) -> list[slice]:
    """``n`` columns in ``count`` pieces, which differ by one column at most.

    Example:
        >>> [(piece.start, piece.stop) for piece in evenly(10, 3)]
        [(0, 3), (3, 7), (7, 10)]
    """
    edges = [round(n * i / count) for i in range(count + 1)]
    return [slice(start, stop) for start, stop in itertools.pairwise(edges)]


def score_in_passes(
    policy: Policy, rows: Rows, items: Tensor, budget: int, only: IntArray | None = None
) -> Float[Tensor, "m n"]:
    """``policy.score(rows, items)``, without gradient, in as many passes as ``budget`` asks for, in the order of rows.

    The form of computation is that of the training step, so that what is compared with its scores (the reference)
    differs by nothing; but a row that no pass holds is left to :func:`rank_in_passes`. Sharded weights: all processes
    must call this with a row at least; those with fewer passes take part in the others'.

    Args:
        policy: in evaluation mode.
        rows: B rows.
        items: ``[B, n]``.
        budget: flat tokens of one pass.
        only: which m of the rows are wanted; may be none of them. All by default.
    """
    wanted = np.arange(len(rows)) if only is None else only
    cost = policy.cost(rows, items.shape[1])[wanted]
    if agreed(policy.module, int(items.shape[1] > 1 and int(cost.max(initial=0)) > budget)):
        return rank_in_passes(policy, rows, items, budget, wanted)
    groups = [wanted[group] for group in passes(cost, budget)]
    idle = [np.zeros(1, dtype=np.int64)] * (agreed(policy.module, len(groups)) - len(groups))
    scored = [policy.score(rows[index], items[sent(index, items.device)]) for index in [*groups, *idle]]
    if not groups:
        return torch.zeros(0, items.shape[1], device=items.device)
    place = np.empty(len(rows), dtype=np.int64)
    place[np.concatenate(groups)] = np.arange(len(wanted))
    together = torch.cat(scored[: len(groups)])
    return together[sent(place[wanted], together.device)]


def rank_in_passes(
    policy: Policy, rows: Rows, items: Tensor, budget: int, only: IntArray | None = None
) -> Float[Tensor, "m n"]:
    """The same for lists of any length, up to the whole catalogue: the fastest form, equal to within rounding.

    A policy that :class:`~polo.protocols.ScoresMany` scores long lists itself, unless its weights are sharded (each
    process would need another number of passes); else a list is cut into pieces of which a pass holds a row at least.
    """
    wanted, width = np.arange(len(rows)) if only is None else only, items.shape[1]
    if isinstance(policy, ScoresMany) and width > policy.few:
        if not is_sharded(policy.module):
            if not len(wanted):
                return torch.zeros(0, width, device=items.device)
            return policy.score_many(rows[wanted], items[sent(wanted, items.device)], budget)
        width = policy.few or width
    while width > 1 and int(policy.cost(rows, width)[wanted].max(initial=0)) > budget:
        width = (width + 1) // 2
    n = items.shape[1]
    count = agreed(policy.module, max(1, math.ceil(n / max(width, 1))))
    cut = [items[:, columns] for columns in evenly(n, count)]
    return torch.cat([score_in_passes(policy, rows, piece, budget, wanted) for piece in cut], dim=1)
