"""What samplers of this plugin share: which items a row must not get, which stream it draws from.

Knows rows and item numbers (numpy). Knows no scores.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from polo import BoolArray, Context, IntArray, Known, PoloError, RowRandom, Rows, Splits


def splits_of(context: Context) -> Splits:
    """The data that samplers draw from.

    Raises:
        PoloError: the component was built without data.
    """
    if context.splits is None:
        raise PoloError("this sampler draws items and was built without data", where="sampler", fix="pass splits")
    return context.splits


def forbidden(rows: Rows, known: Known) -> Callable[[IntArray, IntArray], BoolArray]:
    """``f(at [m], items [m, j]) -> bool [m, j]``: target, shown history, or known to have been consumed in training."""

    def check(at: IntArray, items: IntArray) -> BoolArray:
        out: BoolArray = known.has(rows.user[at], items) | (items == rows.target[at, None])
        for column in range(rows.history.shape[1]):
            out |= items == rows.history[at, column, None]
        return out

    return check


def barred_items(rows: Rows, known: Known) -> IntArray:
    """The items that :func:`forbidden` marks, each once, filled up with -1: int64 ``[B, width]``."""
    items = np.sort(np.concatenate([rows.target[:, None], rows.history, known.items(rows.user)], axis=1), axis=1)
    items[:, 1:][items[:, 1:] == items[:, :-1]] = -1
    return np.asarray(items, dtype=np.int64)


def stream(rng: RowRandom, seed: int, name: str, resample: str) -> RowRandom:
    """The random stream of a drawing sampler: the epoch's own, or one that is the same in every epoch and stage."""
    return rng.child(name) if resample == "epoch" else RowRandom(seed, "sampler", name)


def counts(splits: Splits) -> IntArray:
    """How often each item occurs in the training sequences: int64 ``[items]``."""
    return np.bincount(splits.sequences.items, minlength=len(splits.items)).astype(np.int64)


def catalogue_only(rows: Rows, name: str) -> None:
    """For samplers that draw from the whole catalogue.

    Raises:
        PoloError: the prompt shows the row's candidates; an item outside the list would be no answer to it.
    """
    if rows.candidates is not None:
        raise PoloError(
            f"{name} draws from the whole catalogue, but the prompt shows a list of candidates",
            where="sampler",
            fix="set policy.prompt.candidates: hidden, or draw from the list with sampler `uniform`",
        )


def all_but(items: IntArray, n_items: int) -> IntArray:
    """``[B, n_items - 1]``: every item but ``items[i]``, in order."""
    others = np.arange(n_items - 1)[None, :]
    return np.asarray(others + (others >= items[:, None]), dtype=np.int64)
