"""Candidate lists: the items that are ranked for each row, and the protocol that makes two numbers comparable.

Knows rows, item numbers and addressed randomness. Knows no model and no metric: who scores the lists, and how, is the
business of others.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final, Literal

import numpy as np

from polo.data import PAD, BoolArray, IntArray, Known, Ragged, Rows, Splits, Whole
from polo.distinct import draw_distinct
from polo.errors import InputError
from polo.randomness import RowRandom

#: as the length of a list: the whole catalogue
ALL: Final = "all"


def attach(
    splits: Splits,
    rows: Rows,
    *,
    n: int,
    negatives: Literal["uniform", "file"] = "uniform",
    seed: int = 0,
    known: Known,
) -> Rows:
    """The rows with a candidate list each: the target and ``n - 1`` others.

    ``uniform``: the others are drawn without replacement from all items that are not the target, not in the shown
    history and not in ``known`` for the user; the target stands at a place drawn uniformly. All of it is a function of
    (seed, row id), so a list stays the same when rows are shuffled, subsampled or spread over processes, and tells
    nothing about the target (published lists that are seeded by the target do). ``file``: the lists that the data
    source read.

    Args:
        splits: the data set that the rows come from.
        rows: any of its rows.
        n: length of a list, target included.
        negatives: ``uniform`` or ``file``.
        seed: seed of the draw.
        known: ``splits.known_all`` for evaluation (a held-out item of the user is no negative);
            ``splits.known_train`` for training (avoiding held-out items there would give them away).

    Raises:
        InputError: a row has fewer than ``n - 1`` items to draw from; or ``file`` where the data has no lists, or
            lists of another length.
    """
    if negatives == "file":
        return _from_file(splits, rows, n)
    rng, rows = RowRandom(seed, "candidates"), rows.gathered()

    def forbidden(at: IntArray, items: IntArray) -> BoolArray:
        out: BoolArray = known.has(rows.user[at], items) | (items == rows.target[at, None])
        for column in range(rows.history.shape[1]):
            out |= items == rows.history[at, column, None]
        return out

    # known items alone may leave too few: said at once, not after a draw that is slow where almost nothing is allowed
    most = len(splits.items) - np.maximum(known.count(rows.user), 1)
    if (most < n - 1).any():
        raise _too_few(splits, rows, n, most)
    others, valid = draw_distinct(rng.child("negatives"), rows.id, len(splits.items), n - 1, forbidden)
    if not valid.all():
        raise _too_few(splits, rows, n, valid.sum(axis=1))
    place = (rng.child("place").uniform(rows.id, 1)[:, 0] * n).astype(np.int64)
    columns = np.arange(n)
    source = np.minimum(columns - (columns > place[:, None]), max(n - 2, 0))
    lists = np.take_along_axis(others, source, axis=1)
    lists[np.arange(len(rows)), place] = rows.target
    return rows.with_candidates(lists)


def attach_all(
    splits: Splits, rows: Rows, *, split: Literal["train", "valid", "test"], mask: Literal["taken", "train"] = "taken"
) -> Rows:
    """The rows with the whole catalogue to rank, but for what the user took before.

    An item that is relevant for a row is never left out, though the user took it before.

    Args:
        splits: the data set that the rows come from.
        rows: any of its rows.
        split: which split they come from.
        mask: what is left out. ``taken``: what the row shows, the user's items of the training split, and for test rows
            those of the validation split. ``train``: the user's items of the training split alone, as LightGCN (arXiv
            2002.02126) and the work after it publish; validation items then stand among those that a test row ranks.

    Raises:
        InputError: a row has nothing to rank beside what is relevant.
    """
    n_items, rows = len(splits.items), rows.gathered()
    at = np.arange(len(rows), dtype=np.int64)

    def codes(owner: IntArray, items: IntArray) -> IntArray:
        return owner * n_items + items

    def coded(lists: Ragged) -> IntArray:
        return codes(np.repeat(at, lists.lengths), lists.items)

    taken = [coded(splits.known_train.lists(rows.user))]
    if mask == "taken":
        row, column = np.nonzero(rows.history != PAD)
        taken.append(codes(row.astype(np.int64), rows.history[row, column]))
        if split == "test":
            taken.append(coded(_taken_in(splits.valid, n_items).lists(rows.user)))
    relevant = codes(at, rows.target) if rows.relevant is None else coded(rows.relevant)
    left = np.setdiff1d(np.concatenate(taken), relevant)
    counts = np.bincount(left // n_items, minlength=len(rows)) if len(left) else np.zeros(len(rows), np.int64)
    without = Ragged(left % n_items, np.concatenate([np.zeros(1, np.int64), np.cumsum(counts)]))
    found = replace(rows, candidates=None, whole=Whole(n_items, without))
    needed = np.ones(len(rows), np.int64) if rows.relevant is None else rows.relevant.lengths
    if len(rows) and (without.lengths + needed >= n_items).any():
        row_ = int(np.flatnonzero(without.lengths + needed >= n_items)[0])
        raise InputError(
            f"nothing is left to rank: user {rows.user[row_]} of row {rows.id[row_]} took every other item of data "
            f"{splits.name!r}",
            where="candidates.n",
            fix="leave this user out, or use lists of a fixed length",
        )
    return found


def _taken_in(rows: Rows, n_items: int) -> Known:
    """What the users of some rows chose in them."""
    if rows.relevant is None:
        return Known(rows.user, rows.target, n_items)
    return Known(np.repeat(rows.user, rows.relevant.lengths), rows.relevant.items, n_items)


def _too_few(splits: Splits, rows: Rows, n: int, free: IntArray) -> InputError:
    """The error for lists that cannot be filled; ``free [N]``: how many items each row can draw from, at most."""
    row = int(np.flatnonzero(free < n - 1)[0])
    return InputError(
        f"fewer candidates than asked: row {rows.id[row]} (user {rows.user[row]}) has {int(free[row])} "
        f"items to draw from, a list of {n} needs {n - 1}; data {splits.name!r} has {len(splits.items)} items",
        where="candidates.n",
        fix=f"set candidates.n to {int(free.min()) + 1} or less",
    )


def _from_file(splits: Splits, rows: Rows, n: int) -> Rows:
    if rows.candidates is None:
        raise InputError(
            f"data {splits.name!r} (form {splits.form!r}) has no candidate lists of its own",
            where="candidates.negatives",
            fix="use negatives: uniform",
        )
    length = rows.candidates.shape[1]
    if length != n:
        raise InputError(
            f"the lists of data {splits.name!r} hold {length} items, {n} were asked for",
            where="candidates.n",
            fix=f"set candidates.n to {length}" + (", or use negatives: uniform" if splits.own is None else ""),
        )
    return rows


def protocol(
    splits: Splits,
    rows: Rows,
    *,
    split: Literal["train", "valid", "test"],
    negatives: Literal["uniform", "file"],
    seed: int,
    mask: Literal["taken", "train"] = "taken",
    subsample_seed: int | None = None,
) -> dict[str, Any]:
    """Exactly what makes two numbers comparable, as plain data. Runs whose protocols differ are not compared.

    Args:
        splits: the data set.
        rows: the rows that are evaluated, with their candidate lists or the whole catalogue.
        split: which split they come from.
        negatives, seed: how the lists were made; the seed plays no part for ``file`` and is left out then.
        mask: what was left out of whole catalogues.
        subsample_seed: seed by which the rows were drawn from the split, ``None`` if all of it is evaluated.

    Raises:
        ValueError: rows without candidate lists.
    """
    everything = len({"train": splits.train, "valid": splits.valid, "test": splits.test}[split])
    if rows.whole is not None:
        ranked: dict[str, Any] = {"n": ALL, "negatives": f"mask {mask}", "seed": None}
        arrays = [rows.id, rows.target, rows.whole.without.items, rows.whole.without.offsets]
    elif rows.candidates is not None:
        ranked = {
            "n": rows.candidates.shape[1], "negatives": negatives, "seed": seed if negatives == "uniform" else None,
        }  # fmt: skip
        arrays = [rows.id, rows.target, rows.candidates]
    else:
        raise ValueError("a protocol is of rows with candidate lists")
    if rows.relevant is not None:
        arrays += [rows.relevant.items, rows.relevant.offsets]
    lists = hashlib.sha256()
    for array in arrays:
        lists.update(np.ascontiguousarray(array, dtype="<i8").tobytes())
    return {
        "data": splits.name,
        "form": splits.form,
        "fingerprint": splits.fingerprint,
        "split": split,
        "rows": len(rows),
        "rows_in_split": everything,
        "subsample_seed": subsample_seed,
        "history": rows.history.shape[1],
        **ranked,
        "lists": lists.hexdigest()[:16],
        "ties": "expected",
    }


def in_words(protocol: Mapping[str, Any]) -> str:
    """What is ranked under a protocol, for people.

    Example:
        >>> in_words({"n": 20, "negatives": "uniform"}), in_words({"n": "all", "negatives": "mask taken"})
        ('20 candidates each (uniform)', 'the whole catalogue each (mask taken)')
    """
    what = "the whole catalogue" if protocol["n"] == ALL else f"{protocol['n']} candidates"
    return f"{what} each ({protocol['negatives']})"


def protocol_hash(protocol: Mapping[str, Any]) -> str:
    """16 hexadecimal digits of the SHA-256 of a protocol.

    Example:
        >>> protocol_hash({"n": 20, "seed": 0}) == protocol_hash({"seed": 0, "n": 20})
        True
    """
    text = json.dumps(dict(protocol), sort_keys=True, separators=(",", ":"), ensure_ascii=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


__all__ = ["ALL", "attach", "attach_all", "in_words", "protocol", "protocol_hash"]
