"""Do other rows' candidate lists give the target away? An attack that never sees a history.

If negatives are drawn by a rule that knows the target (a seed made of it, say), rows with one target share negatives,
and a list resembles the lists of earlier rows with the same target.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
import numpy.typing as npt

from polo import Audited, Context, Finding, FloatArray, IntArray, Rows
from polo_audits.figures import hits, percent, sample, standard_errors

#: entries of the largest temporary array
_ENTRIES: Final = 1 << 23
#: what the attack must add to guessing and to popularity: this much, and this many standard errors
_ADDED: Final = 0.03
_ERRORS: Final = 4.0
#: added hit ratio from which on the verdict is fail
_FAIL: Final = 0.1


class Overlap:
    """HR@1 of the attack on the recipe's lists, against guessing and popularity."""

    needs = frozenset({"items", "lists"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        return _finding(audited, audited.lists, "the recipe's lists", used=True)


class OverlapFile:
    """The same on the lists that came with the file, whether the recipe uses them or not."""

    needs = frozenset({"items"})

    def __init__(self, options: None, context: Context) -> None: ...

    def check(self, audited: Audited) -> Finding:
        if not audited.file_lists:
            return Finding(None, "ok", "The file holds no candidate lists.")
        return _finding(audited, audited.file_lists, "the file's lists", used=audited.negatives == "file")


def _finding(audited: Audited, lists: Mapping[str, Rows], whose: str, *, used: bool) -> Finding:
    rows = sample(lists[audited.split])
    assert rows.candidates is not None
    seen = [lists[name] for name in ("train", "valid") if name in lists and name != audited.split]
    attack = hits(rows, overlaps(rows, seen, len(audited.splits.items)))
    counts = np.bincount(np.concatenate([r.target for r in seen]), minlength=len(audited.splits.items))
    popular = hits(rows, counts[rows.candidates].astype(np.float64))
    chance = 1 / rows.candidates.shape[1]
    best = popular if popular.mean() > chance else np.full(len(rows), chance)
    added = float((attack - best).mean())
    figure = float(attack.mean())
    meaning = (
        f"Comparing a row's list with other rows' lists, without any history, finds the target in {percent(figure)} of "
        f"the {audited.split} rows ({whose}; guessing {percent(chance)}, popularity {percent(float(popular.mean()))})"
    )
    if added < _ADDED or standard_errors(attack - best, rows.user) < _ERRORS:
        return Finding(figure, "ok", f"{meaning}, so the lists do not give it away.")
    fix = (
        "set candidates.negatives to uniform: lists drawn by (seed, row) tell nothing about the target"
        if used
        else "leave candidates.negatives at uniform, as this recipe does; numbers on the file's lists are others"
    )
    return Finding(figure, "fail" if added >= _FAIL else "warn", f"{meaning}: the negatives give the target away.", fix)


def overlaps(rows: Rows, seen: list[Rows], n_items: int) -> FloatArray:
    """score(row, c) = the largest number of items, c aside, that the row's list shares with a seen list of target c.

    Args:
        rows: N rows with lists ``[N, n]``.
        seen: rows with lists, whose targets are known to the attacker.
        n_items: size of the catalogue.

    Returns:
        float64 ``[N, n]``; -1 where no seen row has the target c.
    """
    assert rows.candidates is not None
    target = np.concatenate([r.target for r in seen])
    # lists of two kinds may have two lengths: the longer one's columns, filled up with an item that no list holds
    width = max(r.candidates.shape[1] for r in seen if r.candidates is not None)
    listed = np.concatenate([_widened(r, width, n_items) for r in seen])
    order = np.argsort(target, kind="stable")
    listed = listed[order]
    starts = np.searchsorted(target[order], np.arange(n_items + 1))
    out = np.full(rows.candidates.shape, -1.0)
    step = max(1, _ENTRIES // (4 * (n_items + 1)))
    for begin in range(0, len(rows), step):
        block = rows.candidates[begin : begin + step]
        member = np.zeros((len(block), n_items + 1), dtype=np.bool_)
        np.put_along_axis(member, block, True, axis=1)
        out[begin : begin + step] = _largest(block, member, listed, starts)
    return out


def _largest(block: IntArray, member: npt.NDArray[np.bool_], listed: IntArray, starts: IntArray) -> FloatArray:
    """The score of each candidate of some rows; ``member [rows, n_items + 1]`` says what a row's list holds."""
    cell = np.arange(block.size)
    row, item = cell // block.shape[1], block.ravel()
    count = starts[item + 1] - starts[item]
    best = np.full(block.size, -1.0)
    ends = np.cumsum(count)
    begin = 0
    while begin < block.size:
        limit = (ends[begin - 1] if begin else 0) + max(int(count[begin]), _ENTRIES // listed.shape[1])
        end = int(np.searchsorted(ends, limit, side="right"))
        cells, many = cell[begin:end], count[begin:end]
        owner = np.repeat(cells, many)
        offset = np.arange(len(owner)) - np.repeat(np.cumsum(many) - many, many)
        lists = listed[starts[item[owner]] + offset]
        # the candidate itself is in each of these lists, and does not count
        shared = member[row[owner, None], lists].sum(axis=1) - 1.0
        some = many > 0
        if some.any():
            best[cells[some]] = np.maximum.reduceat(shared, (np.cumsum(many) - many)[some])
        begin = end
    return best.reshape(block.shape)


def _widened(rows: Rows, width: int, filler: int) -> IntArray:
    assert rows.candidates is not None
    return np.pad(rows.candidates, ((0, 0), (0, width - rows.candidates.shape[1])), constant_values=filler)
