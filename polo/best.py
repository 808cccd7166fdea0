"""The best few of many scores, without putting all in order. Knows numbers; not what they are of."""

from __future__ import annotations

from jaxtyping import Float, Int
from torch import Tensor


def best_columns(scores: Float[Tensor, "b n"], k: int) -> tuple[Int[Tensor, "b m"], Float[Tensor, "b m"]]:
    """The k best columns of each row, best first, equal scores by column; all columns if there are no more than k.

    Rows among whose k + 1 best no two scores are equal, nearly all of a model's, take one partial search; only the
    others are gone through once more.

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
