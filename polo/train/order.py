"""In which order a stage sees its rows. Knows rows and steps; no model, but for which rows it likes to see together."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from polo.data import BLOCK, IntArray, Rows
from polo.protocols import Policy, SharesForwards
from polo.randomness import seed_of

#: makes room for so many numbers, in memory or on the disk
Room = Callable[[int], IntArray]


def in_memory(count: int) -> IntArray:
    """Room for ``count`` numbers."""
    return np.empty(count, np.int64)


class Order:
    """The batches of a stage: epochs are permutations by (seed, stage, epoch), cut into batches.

    The permutation of one epoch is kept, so that it is made once; any step can be asked for at any time. It lies where
    the rows lie: in memory, or on the disk.

    Args:
        rows: all rows of the stage.
        size: rows of a batch; the last one of an epoch may be smaller.
        policy: may say which rows it scores at less cost together.
        key: words that name the stage's randomness, such as ``(seed, "prefer")``.
    """

    def __init__(self, rows: Rows, size: int, policy: Policy, key: tuple[int | str, ...]) -> None:
        self._rows, self._size, self._policy, self._key = rows, size, policy, key
        self._epoch, self._order = -1, np.empty(0, np.int64)
        #: batches of an epoch
        self.steps = math.ceil(len(rows) / size)

    def batch(self, step: int) -> tuple[Rows, int]:
        """The rows of a step (from 0), and the number of the epoch."""
        epoch, place = divmod(step, self.steps)
        if epoch != self._epoch:
            self._epoch, self._order = epoch, self._drawn(epoch)
        return self._rows[self._order[place * self._size : (place + 1) * self._size]], epoch

    def _drawn(self, epoch: int) -> IntArray:
        rng, policy = np.random.default_rng(seed_of(*self._key, "order", epoch)), self._policy
        if isinstance(policy, SharesForwards):
            return shuffled(self._groups(policy), rng, self._rows.room)
        return permutation(len(self._rows), rng, self._rows.room)

    def _groups(self, policy: SharesForwards) -> IntArray:
        groups, done = self._rows.room(len(self._rows)), 0
        for block in self._rows.blocks():
            groups[done : done + len(block)] = policy.shared(block)
            done += len(block)
        return groups


def permutation(count: int, rng: np.random.Generator, room: Room) -> IntArray:
    """``rng.permutation(count)``, in the room that is made for it."""
    order = room(count)
    for start in range(0, count, BLOCK):
        order[start : start + BLOCK] = np.arange(start, min(start + BLOCK, count))
    rng.shuffle(order)
    return order


def shuffled(groups: IntArray, rng: np.random.Generator, room: Room = in_memory) -> IntArray:
    """A permutation of ``[N]`` rows in which those of a group stay together, in their order.

    Example:
        >>> import numpy as np
        >>> shuffled(np.array([7, 8, 7, 8, 9]), np.random.default_rng(0)).tolist()
        [1, 3, 4, 0, 2]
    """
    starts = _runs(groups, room)
    if starts is None:
        found, number = np.unique(groups, return_inverse=True)
        order: IntArray = np.argsort(rng.permutation(len(found))[number], kind="stable")
        return order
    # groups that stand one after the other, as rows on the disk have them: the same order, without sorting the rows
    count = len(starts) - 1
    rank, group = permutation(count, rng, room), room(count)
    for start in range(0, count, BLOCK):
        some = rank[start : start + BLOCK]
        group[some] = np.arange(start, start + len(some))
    order, done = room(len(groups)), 0
    for start in range(0, count, BLOCK):
        some = group[start : start + BLOCK]
        lengths = starts[some + 1] - starts[some]
        ends = np.cumsum(lengths)
        order[done : done + ends[-1]] = np.arange(ends[-1]) + np.repeat(starts[some] - ends + lengths, lengths)
        done += int(ends[-1])
    return order


def _runs(groups: IntArray, room: Room) -> IntArray | None:
    """Where each group begins, and the end, if groups ascend; else ``None``."""
    count = 0
    for start in range(0, len(groups), BLOCK):
        step = np.diff(groups[max(start - 1, 0) : start + BLOCK])
        if (step < 0).any():
            return None
        count += int((step > 0).sum())
    starts, done = room(count + 1 + min(len(groups), 1)), 1
    starts[0], starts[-1] = 0, len(groups)
    for start in range(0, len(groups), BLOCK):
        before = max(start - 1, 0)
        new = np.flatnonzero(np.diff(groups[before : start + BLOCK]) > 0) + before + 1
        starts[done : done + len(new)] = new
        done += len(new)
    return starts
