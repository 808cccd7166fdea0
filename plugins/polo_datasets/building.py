"""From whole sequences to splits: windows, the two split rules, known items and the fingerprint.

Knows item numbers and sequences. Knows no file and no data set.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import numpy.typing as npt

from polo import PAD, BoolArray, InputError, IntArray, ItemTable, Known, RowRandom, Rows, Sequences, Splits

Pairs = tuple[IntArray, IntArray]
#: a column: its shape, and its lines some at a time
Blocks = tuple[tuple[int, ...], Iterable[IntArray]]
#: lines of a block; bounds memory, never a hash
BLOCK: Final = 1 << 18


@dataclass(frozen=True)
class Divided:
    """Three splits before they are numbered: rows, training sequences, and (user, item) pairs that are known."""

    train: Rows
    valid: Rows
    test: Rows
    sequences: Sequences
    known_train: Pairs
    known_all: Pairs
    notes: Mapping[str, int]


def next_item_rows(sequences: Sequences, history: int, at: BoolArray) -> Rows:
    """One row for each place in the flat sequences where ``at [len(sequences.items)]`` is True: its item is the target.

    Row ids are 0 until :func:`finish` numbers them.
    """
    owner, place = places(sequences)
    flat = np.flatnonzero(at)
    back = np.arange(-history, 0)
    inside = place[flat, None] + back >= 0
    shown = np.where(inside, sequences.items[np.maximum(flat[:, None] + back, 0)], PAD)
    users = sequences.user[owner[flat]]
    return Rows(np.zeros(len(flat), np.int64), users, shown, sequences.items[flat])


def places(sequences: Sequences) -> tuple[IntArray, IntArray]:
    """For each entry of the flat sequences: its sequence, and its place in it from 0."""
    lengths = np.diff(sequences.offsets)
    owner = np.repeat(np.arange(len(lengths)), lengths)
    return owner, np.arange(len(sequences.items)) - sequences.offsets[owner]


def select(sequences: Sequences, at: BoolArray) -> Sequences:
    """The sequences with only the entries where ``at`` is True; sequences that become empty are dropped."""
    owner, _ = places(sequences)
    lengths = np.bincount(owner[at], minlength=len(sequences))
    some = lengths > 0
    offsets = np.concatenate([[0], np.cumsum(lengths[some])]).astype(np.int64)
    return Sequences(sequences.user[some], sequences.items[at], offsets)


def pairs(sequences: Sequences) -> Pairs:
    """(user, item) of every entry."""
    owner, _ = places(sequences)
    return sequences.user[owner], sequences.items


def leave_last_out(sequences: Sequences, history: int, min_history: int) -> Divided:
    """Each user's last item is the test target, the one before it the validation target, the rest is training.

    A user with fewer than ``min_history + 2`` items only trains.
    """
    owner, place = places(sequences)
    length = np.diff(sequences.offsets)[owner]
    evaluated = length >= min_history + 2
    last, second = evaluated & (place == length - 1), evaluated & (place == length - 2)
    early = ~(last | second)
    train = select(sequences, early)
    return Divided(
        next_item_rows(sequences, history, early & (place >= min_history)),
        next_item_rows(sequences, history, second),
        next_item_rows(sequences, history, last),
        train,
        pairs(train),
        pairs(sequences),
        {"users without validation and test row: too short": len(sequences) - int(last.sum())},
    )


def by_user(sequences: Sequences, history: int, min_history: int, seed: int) -> Divided:
    """Users drawn 8:1:1 into train, valid and test; every item after the first ``min_history`` is a target."""
    owner, place = places(sequences)
    count = len(sequences)
    order = np.argsort(RowRandom(seed, "split by user").uniform(np.arange(count), 1)[:, 0], kind="stable")
    group = np.zeros(count, np.int64)
    held = max(1, round(count / 10))
    group[order[:held]], group[order[held : 2 * held]] = 2, 1
    kept = place >= min_history
    train = select(sequences, group[owner] == 0)
    rows = [next_item_rows(sequences, history, kept & (group[owner] == g)) for g in range(3)]
    dropped = {f"rows dropped: history shorter than {min_history}": int((~kept).sum())}
    return Divided(rows[0], rows[1], rows[2], train, pairs(train), pairs(sequences), dropped)


def first_occurrences(users: IntArray, items: IntArray) -> BoolArray:
    """True at the first event of each (user, item) in the given order."""
    codes = users * (int(items.max(initial=0)) + 1) + items
    _, first = np.unique(codes, return_index=True)
    out = np.zeros(len(users), np.bool_)
    out[first] = True
    return out


def sequences_of(users: IntArray, items: IntArray) -> Sequences:
    """Sequences from events that are already in time order within each user; users in ascending order."""
    order = np.argsort(users, kind="stable")
    numbers, starts = np.unique(users[order], return_index=True)
    return Sequences(numbers, items[order], np.append(starts, len(users)).astype(np.int64))


def tied_times(users: IntArray, times: npt.NDArray[np.number]) -> float | None:
    """Share of neighbouring events of one user with the same time; events stand in order, user by user.

    Example:
        >>> tied_times(np.array([0, 0, 0, 1]), np.array([5, 5, 7, 7]))
        0.5
    """
    same_user = users[1:] == users[:-1]
    return float((times[1:] == times[:-1])[same_user].mean()) if same_user.any() else None


def finish(
    divided: Divided,
    *,
    name: str,
    form: str,
    items: ItemTable,
    licence: str,
    notes: Mapping[str, int],
    where: str,
    tied_times: float | None = None,
) -> Splits:
    """Numbers the rows, takes the fingerprint, and refuses an empty training or test split.

    Row ids run from 0 over train, valid and test. The fingerprint covers what is trained and measured on, so
    ``tied_times`` (see :func:`tied_times`) is not part of it.

    Raises:
        InputError: a split that must have rows has none.
    """
    numbered, start = [], 0
    refuse_empty((divided.train, divided.valid, divided.test), name, where)
    for rows in (divided.train, divided.valid, divided.test):
        numbered.append(replace(rows, id=np.arange(start, start + len(rows), dtype=np.int64)))
        start += len(rows)
    counted = {text: count for text, count in {**notes, **divided.notes}.items() if count}
    return Splits(
        name=name,
        form=form,
        items=items,
        train=numbered[0],
        valid=numbered[1],
        test=numbered[2],
        sequences=divided.sequences,
        known_train=Known(*divided.known_train, n_items=len(items)),
        known_all=Known(*divided.known_all, n_items=len(items)),
        fingerprint=fingerprint(
            name, form, items, numbered, divided.sequences, [blocks_of(array) for array in divided.known_all]
        ),
        licence=licence,
        tied_times=tied_times,
        notes=counted,
    )


def refuse_empty(parts: Sequence[Rows], name: str, where: str) -> None:
    """Training, validation and test rows must be there.

    Raises:
        InputError: a split has none.
    """
    for split, rows in zip(("training", "validation", "test"), parts, strict=True):
        if not len(rows):
            raise InputError(
                f"empty data set: no {split} row is left in data {name!r}",
                where=where,
                fix="give more data, or lower data.min_history",
            )


def fingerprint(
    name: str, form: str, items: ItemTable, splits: Sequence[Rows], sequences: Sequences, known_all: Sequence[Blocks]
) -> str:
    """Hash of what is trained and measured on; of rows on the disk the same as of those in memory.

    Args:
        name, form, items: of the data.
        splits: training, validation and test rows, numbered.
        sequences: the training split.
        known_all: users and items of all splits.
    """
    digest = hashlib.sha256()
    facts = {key: list(column) for key, column in items.facts.items()}
    digest.update(json.dumps([name, form, list(items.titles), list(items.ids), facts], sort_keys=True).encode())
    columns = [column for rows in splits for column in _columns(rows)]
    sets = [rows.relevant for rows in splits if rows.relevant is not None]
    columns += [blocks_of(array) for relevant in sets for array in (relevant.items, relevant.offsets)]
    columns += [blocks_of(array) for array in (sequences.user, sequences.items, sequences.offsets)]
    for column in [*columns, *known_all]:
        if column is None:
            digest.update(b"none")
            continue
        digest.update(str(column[0]).encode())
        for block in column[1]:
            digest.update(np.ascontiguousarray(block, dtype="<i8").data)
    return digest.hexdigest()


def _columns(rows: Rows) -> Sequence[Blocks | None]:
    """Users, shown histories, targets and lists, each by blocks of rows."""
    count, lists = len(rows), rows.candidates
    return [
        ((count,), (block.user for block in rows.blocks())),
        ((count, rows.window), (block.history for block in rows.blocks())),
        ((count,), (block.target for block in rows.blocks())),
        None if lists is None else blocks_of(lists),
    ]


def blocks_of(array: IntArray) -> Blocks:
    """An array by blocks of lines."""
    return array.shape, (array[start : start + BLOCK] for start in range(0, len(array), BLOCK))
