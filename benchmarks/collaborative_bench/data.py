"""Users and what they took: files of lines ``user item item ...``, and a made-up world of any size. Knows no model."""

from __future__ import annotations

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from polo import IntArray, ItemTable, Known, Ragged, Rows, Sequences, Splits


@dataclass(frozen=True)
class Taken:
    """Pairs of a split, sorted by user, then item."""

    user: IntArray
    item: IntArray

    @classmethod
    def of(cls, user: IntArray, item: IntArray) -> Taken:
        order = np.lexsort((item, user))
        return cls(user[order], item[order])

    @property
    def lists(self) -> tuple[IntArray, Ragged]:
        """The users, and what each took."""
        users, counts = np.unique(self.user, return_counts=True)
        return users, Ragged(self.item, np.concatenate([[0], np.cumsum(counts)]))


@dataclass(frozen=True)
class World:
    """Training and test pairs of users and items that are numbered from 0."""

    users: int
    items: int
    train: Taken
    test: Taken

    def splits(self) -> Splits:
        """As polo takes it: a row for each training pair, one for each test user with all that is relevant."""
        train, (users, relevant) = self.train, self.test.lists
        names = [str(i) for i in range(self.items)]
        takers, lists = train.lists
        rows = _rows(0, train.user, train.item, None)
        return Splits(
            name="bench", form="pairs", items=ItemTable(names, names), train=rows, valid=rows[:0],
            test=_rows(len(rows), users, relevant.items[relevant.offsets[:-1]], relevant),
            sequences=Sequences(takers, lists.items, lists.offsets),
            known_train=Known(train.user, train.item, self.items),
            known_all=Known(
                np.concatenate([train.user, self.test.user]), np.concatenate([train.item, self.test.item]), self.items
            ),
            fingerprint="bench",
        )  # fmt: skip


def _rows(first: int, user: IntArray, target: IntArray, relevant: Ragged | None) -> Rows:
    ids = first + np.arange(len(user), dtype=np.int64)
    return Rows(ids, user, np.empty((len(user), 0), np.int64), target, None, relevant)


def read(folder: Path) -> World:
    """``train.txt.gz`` and ``test.txt.gz``; validation pairs play no part."""
    train, test = (_pairs(folder / f"{name}.txt.gz") for name in ("train", "test"))
    users, items = (1 + max(int(getattr(one, what).max()) for one in (train, test)) for what in ("user", "item"))
    return World(users, items, train, test)


def _pairs(path: Path) -> Taken:
    with gzip.open(path, "rt") as file:
        lines = [np.array(line.split(), dtype=np.int64) for line in file]
    user = np.repeat([line[0] for line in lines], [len(line) - 1 for line in lines])
    return Taken.of(user, np.concatenate([line[1:] for line in lines]))


def made(users: int, items: int, each: int, seed: int, test: int = 4) -> World:
    """``each`` + ``test`` different items a user, by Zipf's law (weight 1 / (rank + 20)), ``test`` of them held out."""
    rng = np.random.default_rng(seed)
    edges = np.cumsum(1 / (np.arange(items) + 20.0))
    wanted = each + test
    taken = np.empty((users, wanted), np.int64)
    at = np.arange(users)
    while len(at):
        drawn = np.searchsorted(edges, rng.random((len(at), 3 * wanted)) * edges[-1], side="right")
        order = np.sort(drawn, axis=1)
        different = 1 + (order[:, 1:] != order[:, :-1]).sum(axis=1)
        for i in np.flatnonzero(different >= wanted):
            taken[at[i]] = list(dict.fromkeys(drawn[i].tolist()))[:wanted]
        at = at[different < wanted]
    own = np.arange(users, dtype=np.int64)
    held, kept = taken[:, :test], taken[:, test:]
    return World(
        users, items, Taken.of(np.repeat(own, each), kept.ravel()), Taken.of(np.repeat(own, test), held.ravel())
    )
