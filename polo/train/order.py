"""In which order a stage sees its rows. Knows rows and steps; no model, but for which rows it likes to see together."""

from __future__ import annotations

import math

import numpy as np

from polo.data import IntArray, Rows
from polo.protocols import Policy, SharesForwards
from polo.randomness import seed_of


class Order:
    """The batches of a stage: epochs are permutations by (seed, stage, epoch), cut into batches.

    The permutation of one epoch is kept, so that it is made once; any step can be asked for at any time.

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
            return shuffled(policy.shared(self._rows), rng)
        return rng.permutation(len(self._rows))


def shuffled(groups: IntArray, rng: np.random.Generator) -> IntArray:
    """A permutation of ``[N]`` rows in which those of a group stay together, in their order.

    Example:
        >>> import numpy as np
        >>> shuffled(np.array([7, 8, 7, 8, 9]), np.random.default_rng(0)).tolist()
        [1, 3, 4, 0, 2]
    """
    found, number = np.unique(groups, return_inverse=True)
    order: IntArray = np.argsort(rng.permutation(len(found))[number], kind="stable")
    return order
