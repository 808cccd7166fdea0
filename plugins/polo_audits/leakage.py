"""Is the answer of a held-out row already in the training split, or in the row itself? Knows rows, no texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt

from polo import PAD, Audited, Context, Finding, IntArray, Known, Rows
from polo_audits.figures import percent

BoolArray = npt.NDArray[np.bool_]


class Leakage:
    """Share of held-out rows of which an answer is given away, or there twice.

    A row counts if a training row has the same shown history and target; if the same user took the target within the
    training split; if the target is in the row's own shown history; or if the split holds the row (user, history,
    target) a second time. Where several items of a row are relevant, each of them is looked at as its target. Users may
    be in several splits (leave-last-out has all of them in each): that alone is no leakage, and is only told.
    """

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        splits = audited.splits
        held = {"valid": splits.valid, "test": splits.test}
        owner = np.repeat(splits.sequences.user, np.diff(splits.sequences.offsets))
        took = Known(
            np.concatenate([owner, splits.train.user]),
            np.concatenate([splits.sequences.items, splits.train.target]),
            len(splits.items),
        )
        count = sum(len(rows) for rows in held.values())
        window = user = inside = twice = bad = 0
        training_rows, all_held = _windows(splits.train), list(held.values())
        for held_out in all_held:
            rows, owner = answers(held_out)
            found = (
                np.isin(_windows(rows), training_rows),
                took.has(rows.user, rows.target[:, None])[:, 0],
                in_history(rows),
                repeated(rows),
            )
            faults = [np.bincount(owner, fault, len(held_out)) > 0 for fault in found]
            window, user, inside, twice = (
                total + int(fault.sum()) for total, fault in zip((window, user, inside, twice), faults, strict=True)
            )
            bad += int(np.logical_or.reduce(faults).sum())
        # the training split may repeat itself (a user who listens again); only whole rows that are there twice are told
        again = int(repeated(splits.train).sum())
        shared = len(np.intersect1d(splits.train.user, np.concatenate([rows.user for rows in all_held])))
        share = bad / max(1, count)
        meaning = (
            f"{bad:,} of {count:,} held-out rows ({percent(share)}) are given away: {window:,} share history and "
            f"target with a training row, {user:,} have a target that the user took in training, {inside:,} have it in "
            f"their own history, {twice:,} are there twice; {again:,} training rows are there twice, {shared:,} users "
            "are in training and held-out splits"
        )
        # a hundredth of the rows moves a hit ratio by a point at most, which is about the width of an interval
        if share < 0.001 and again <= 0.01 * len(splits.train):
            return Finding(share, "ok", f"{meaning}.")
        return Finding(
            share,
            "fail" if share >= 0.01 else "warn",
            f"{meaning}.",
            "split by time or by user before cutting windows, and drop repeated rows",
        )


def answers(rows: Rows) -> tuple[Rows, IntArray]:
    """A row for each relevant item, which is its target, and which of the given rows each is of."""
    if rows.relevant is None:
        return rows, np.arange(len(rows))
    owner = np.repeat(np.arange(len(rows)), rows.relevant.lengths)
    return replace(rows[owner], target=rows.relevant.items, relevant=None), owner


def in_history(rows: Rows) -> BoolArray:
    """``[N]`` whether the target is among the shown items."""
    found: BoolArray = (rows.history == rows.target[:, None]).any(axis=1)
    return found


def repeated(rows: Rows) -> BoolArray:
    """``[N]`` whether an earlier row has the same user, shown history and target."""
    keys = _packed(np.concatenate([rows.user[:, None], rows.history, rows.target[:, None]], axis=1))
    _, first = np.unique(keys, return_index=True)
    out = np.ones(len(rows), np.bool_)
    out[first] = False
    return out


def _windows(rows: Rows) -> npt.NDArray[np.void]:
    """A key of (shown history, target); rows with fewer than three shown items get keys that are equal to no other.

    After one or two items many people go on alike, which says nothing.
    """
    short = (rows.history != PAD).sum(axis=1) < 3
    unique = np.where(short, rows.id + 1, 0)
    return _packed(np.concatenate([rows.history, rows.target[:, None], unique[:, None]], axis=1))


def _packed(columns: npt.NDArray[np.int64]) -> npt.NDArray[np.void]:
    """One value for each row of a table, equal where rows are equal."""
    table = np.ascontiguousarray(columns)
    return table.view(np.dtype((np.void, table.dtype.itemsize * table.shape[1])))[:, 0]
