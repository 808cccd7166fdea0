"""Exact k-means in one dimension, for many rows at once, without a device synchronisation.

Optimal clusters of numbers on a line are contiguous, so the best ones are found by trying all cuts of the sorted
values. Only the highest cluster is asked for here. Knows numbers and masks; knows no policy.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

#: relative difference below which two partitions count as equally good (float64 rounding; stable across devices)
_TIE: Final = 1e-12
#: entries of the largest temporary tensor; bounds memory, never the result
_ENTRIES: Final = 1 << 24


def top_cluster(x: Float[Tensor, "b k"], valid: Bool[Tensor, "b k"], clusters: int = 3) -> Bool[Tensor, "b k"]:
    """Members of the highest cluster of each row's valid values, in the optimal k-means partition.

    Maximises ``sum_c C_c^2 / n_c`` (C_c the sum, n_c the size of cluster c, values centred), which is to minimise the
    within-cluster sum of squares. Equal values share a cluster. Of equally good partitions the one with the smallest
    top cluster is taken. A row with at most ``clusters`` distinct values keeps the group of its maximum; a row without
    valid values keeps nothing. The order of the columns plays no part.

    Args:
        x: ``[B, K]``, any floating type (computed in float64); finite where valid.
        valid: which columns count.
        clusters: number of clusters, at least 2. Time grows as ``(clusters - 2) K^2``.

    Example ({5, 4.9} | {1, 0.9} | {-7}):
        >>> x = torch.tensor([[0.9, 5.0, -7.0, 1.0, 4.9]])
        >>> top_cluster(x, torch.ones_like(x, dtype=torch.bool)).tolist()
        [[False, True, False, False, True]]
    """
    b, k = x.shape
    if k == 0:
        return valid.clone()
    n = valid.sum(-1, keepdim=True)
    x = torch.where(valid, x.double(), -torch.inf)
    order = x.argsort(dim=-1, descending=True, stable=True)
    value, filled = x.gather(1, order), valid.gather(1, order)  # descending; what is not valid stands at the end
    mean = torch.where(filled, value, 0.0).sum(-1, keepdim=True) / n.clamp(min=1)
    centred = torch.where(filled, value - mean, 0.0)  # against cancellation
    sums = torch.cat([centred.new_zeros(b, 1), centred.cumsum(-1)], dim=-1)  # [B, K+1], sums[:, m] of the first m
    place = torch.arange(k + 1, device=x.device)

    cut = torch.zeros(b, k + 1, dtype=torch.bool, device=x.device)  # may a cluster end before sorted place m?
    cut[:, 1:k] = (value[:, :-1] > value[:, 1:]) & (place[1:k] < n)
    distinct = cut.sum(-1, keepdim=True) + 1

    # best gain of splitting the sorted values from place i on into c clusters, for c = 1, 2, ...
    rest = (sums[:, -1:] - sums) ** 2 / (n - place).clamp(min=1)
    for _ in range(clusters - 2):
        rest = _one_more(sums, torch.where(cut, rest, -torch.inf))
    gain = torch.where(cut, sums**2 / place.clamp(min=1) + rest, -torch.inf)
    best = gain.amax(-1, keepdim=True)
    good = gain >= best - _TIE * best.abs()
    size = torch.where(distinct > clusters, first(good), first(cut | (place == n)))
    rank = order.argsort(dim=-1)
    return valid & (rank < size)


def first(marks: Bool[Tensor, "b m"]) -> Tensor:
    """``[B, 1]`` place of the first mark (the last place + 1 if there is none)."""
    place = torch.arange(marks.shape[1], device=marks.device)
    return torch.where(marks, place, marks.shape[1]).amin(-1, keepdim=True)


def _one_more(sums: Float[Tensor, "b m"], rest: Float[Tensor, "b m"]) -> Float[Tensor, "b m"]:
    """``best_j>i  (S_j - S_i)^2 / (j - i) + rest_j`` for every i: one more cluster in front of the rest."""
    b, m = sums.shape
    place = torch.arange(m, device=sums.device)
    step = max(1, _ENTRIES // max(1, b * m))
    parts = []
    for start in range(0, m, step):
        i = place[start : start + step, None]
        gap = place[None, :] - i
        gain = (sums[:, None, :] - sums[:, start : start + step, None]) ** 2 / gap.clamp(min=1) + rest[:, None, :]
        parts.append(torch.where(gap > 0, gain, -torch.inf).amax(-1))
    return torch.cat(parts, dim=1)
