"""Exact k-means in one dimension, for many rows at once, without a device synchronisation.

Optimal clusters of numbers on a line are contiguous, so the best ones are found by trying all cuts of the sorted
values. Only the highest cluster is asked for here. Knows numbers and masks; knows no policy.
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

#: relative difference of the sum of squares below which two partitions count as equally good (rounding of float64)
_TIE: Final = 1e-12
#: entries of the largest temporary tensor; bounds memory, never the result
_ENTRIES: Final = 1 << 24


def top_cluster(x: Float[Tensor, "b k"], valid: Bool[Tensor, "b k"], clusters: int = 3) -> Bool[Tensor, "b k"]:
    """Members of the highest cluster of each row's valid values, in the optimal k-means partition.

    Minimises the within-cluster sum of squares. Equal values share a cluster. Of equally good partitions (to a relative
    1e-12 of that sum) the one with the smallest top cluster is taken. A row with at most ``clusters`` distinct values
    keeps the group of its maximum; a row without valid values keeps nothing. The order of the columns plays no part.

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
    place = torch.arange(k, device=x.device)

    cut = torch.zeros(b, k, dtype=torch.bool, device=x.device)  # may a cluster begin at sorted place m?
    cut[:, 1:] = (value[:, :-1] > value[:, 1:]) & (place[1:] < n)
    distinct = cut.sum(-1, keepdim=True) + 1
    equal = first(cut).minimum(n)  # how many values equal the maximum

    step = max(1, _ENTRIES // (k * k))
    rows = [slice(start, start + step) for start in range(0, b, step)]
    sizes = [_size(torch.where(filled[r], value[r], 0.0), filled[r], cut[r], clusters) for r in rows]
    size = torch.where(distinct > clusters, torch.cat(sizes) if sizes else n, equal)
    rank = order.argsort(dim=-1)
    return valid & (rank < size)


def first(marks: Bool[Tensor, "b m"]) -> Tensor:
    """``[B, 1]`` place of the first mark (the last place + 1 if there is none)."""
    place = torch.arange(marks.shape[1], device=marks.device)
    return torch.where(marks, place, marks.shape[1]).amin(-1, keepdim=True)


def _size(
    value: Float[Tensor, "b k"], filled: Bool[Tensor, "b k"], cut: Bool[Tensor, "b k"], clusters: int
) -> Int[Tensor, "b 1"]:
    """How many of the sorted values the best top cluster has, where there are more distinct ones than clusters."""
    within = _within(value, filled)
    ahead = torch.cat([torch.zeros_like(within[:, :, :1]), within[:, :, :-1]], dim=2)  # of places i to m - 1
    rest = within[:, :, -1]  # of all places from i on in 1, 2, ... clusters
    # a next cluster that begins at or before i, or between equal values, costs no less than the best that does neither
    for _ in range(clusters - 2):
        rest = (ahead + rest[:, None, :]).amin(-1)
    total = torch.where(cut, ahead[:, 0] + rest, torch.inf)
    return first(total <= total.amin(-1, keepdim=True) * (1 + _TIE))


def _within(value: Float[Tensor, "b k"], filled: Bool[Tensor, "b k"]) -> Float[Tensor, "b k k"]:
    """Sum of squares of the sorted values from place i to place j around their mean, as ``[B, i, j]``.

    ``sum_(a < b) (x_a - x_b)^2 / n``: only sums of what is not negative, so that an outlier takes no digit from the
    sums of clusters that it is not in.
    """
    apart = (value[:, :, None] - value[:, None, :]) ** 2
    apart = torch.where(filled[:, :, None] & filled[:, None, :], apart, 0.0).triu(1)
    pairs = apart.flip(1).cumsum(1).flip(1).cumsum(2)
    place = torch.arange(value.shape[1], device=value.device)
    count = torch.minimum(place[None, :] + 1, filled.sum(-1)[:, None])[:, None, :] - place[None, :, None]
    return pairs / count.clamp(min=1)
