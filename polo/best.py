"""The best few of many scores, without putting all in order. Knows numbers; not what they are of."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor

#: groups of columns for each place: the more, the fewer columns are put in order, and the more groups are
_GROUPS: Final = 8
#: rows that have more columns above the bound than this for each place go another way; ties make them so
_CROWD: Final = 4


def best_columns(scores: Float[Tensor, "b n"], k: int) -> tuple[Int[Tensor, "b m"], Float[Tensor, "b m"]]:
    """The k best columns of each row, best first, equal scores by column; all columns if there are no more than k.

    Where there are many columns of 32-bit scores on a CPU, they are put into groups, and the k-th highest of the
    groups' best is a bound below which none of the k best lies: few columns are above it, and these are sorted.
    Elsewhere, rows among whose k + 1 best no two scores are equal, nearly all of a model's, take one partial search;
    only the others are gone through once more.

    Args:
        scores: no NaN; ``-inf`` is the worst there is.
        k: at least 1.

    Returns:
        Columns int64 and their scores, ``m = min(k, n)``.

    Example:
        >>> import torch
        >>> columns, values = best_columns(torch.tensor([[1.0, 3.0, 1.0, 3.0]]), 3)
        >>> columns.tolist(), values.tolist()
        ([[1, 3, 0]], [[3.0, 3.0, 1.0]])
    """
    if scores.dtype == torch.float32 and scores.device.type == "cpu" and scores.shape[1] >= 2 * _GROUPS * k:
        return _bounded(scores.detach(), k)
    return _searched(scores, k)


def _bounded(scores: Float[Tensor, "b n"], k: int) -> tuple[Int[Tensor, "b k"], Float[Tensor, "b k"]]:
    """By a bound that at least k columns of each row reach."""
    table = np.ascontiguousarray(scores.numpy())
    b, n = table.shape
    flat = np.flatnonzero(table >= _bound(table, k)[:, None])
    counts = np.diff(np.searchsorted(flat, np.arange(b + 1) * n))
    crowded = counts > _CROWD * k
    if crowded.any():
        flat = flat[np.repeat(~crowded, counts)]
        counts[crowded] = 0
    row = np.repeat(np.arange(b), counts)
    # a word for each column that reaches the bound: lower is better, then further left
    words = np.full((b, max(k, int(counts.max(initial=0)))), np.iinfo(np.uint64).max)
    words[row, np.arange(len(flat)) - np.repeat(np.cumsum(counts) - counts, counts)] = (
        _falling(table.reshape(-1)[flat]) << np.uint64(32)
    ) | (flat - row * n).astype(np.uint64)
    words.sort(axis=1)
    columns = torch.from_numpy((words[:, :k] & np.uint64(0xFFFFFFFF)).astype(np.int64))
    if crowded.any():
        again = torch.from_numpy(np.flatnonzero(crowded))
        columns[again] = _searched(scores[again], k)[0]
    return columns, scores.gather(1, columns)


def _bound(table: npt.NDArray[np.float32], k: int) -> npt.NDArray[np.float32]:
    """``[b]`` the k-th highest of the groups' best of each row."""
    b, n = table.shape
    width = n // (_GROUPS * k)
    cut = n - n % width
    best = np.concatenate([table[:, :cut].reshape(b, width, -1).max(axis=1), table[:, cut:]], axis=1)
    at = best.shape[1] - k
    bound: npt.NDArray[np.float32] = np.partition(best, at, axis=1)[:, at]
    return bound


def _falling(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint64]:
    """Whole numbers below 2^32 in the opposite order; IEEE 754's bits are in order but for the sign."""
    bits = (values + np.float32(0)).view(np.uint32)  # -0 becomes 0, which it equals
    turned = np.where(bits >> np.uint32(31), bits, ~(bits | np.uint32(1 << 31)))
    return turned.astype(np.uint64)


def _searched(scores: Float[Tensor, "b n"], k: int) -> tuple[Int[Tensor, "b m"], Float[Tensor, "b m"]]:
    """By a partial search of the whole row."""
    values, columns = scores.topk(min(k + 1, scores.shape[1]), dim=1)
    tied = (values[:, 1:] == values[:, :-1]).any(dim=1)
    columns, values = columns[:, :k], values[:, :k]
    if bool(tied.any()):
        columns[tied], values[tied] = _by_column(scores[tied], values[tied])
    return columns, values


def _by_column(scores: Float[Tensor, "b n"], best: Float[Tensor, "b m"]) -> tuple[Tensor, Tensor]:
    """The columns of the best scores, which are known, where some of them are equal."""
    last = best[:, -1:]
    more, equal = scores > last, scores == last
    room = best.shape[1] - more.sum(dim=1, keepdim=True)
    chosen = more | (equal & (equal.cumsum(dim=1) <= room))
    columns = chosen.nonzero()[:, 1].view(best.shape)
    values, order = scores.gather(1, columns).sort(dim=1, descending=True, stable=True)
    return columns.gather(1, order), values


__all__ = ["best_columns"]
