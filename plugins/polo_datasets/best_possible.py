"""The best possible score on the demo world: the law that made it. Knows the law, learns nothing."""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from polo import Context, InputError, Rows, Splits
from polo_datasets.demo_world import World

_CHUNK: Final = 1024


class BestPossible:
    """Ranks by the true conditional probability of each candidate given the shown history.

    The score is M(x | h) of the demo world. Given everything the user took before, the probability of each artist not
    yet taken is M(x | h) up to one factor common to all, and M depends on the last 10 artists alone; so with
    a shown history of 10 or more no ranking of candidates that the user has not taken has a higher expected hit ratio
    on the test split. With a shorter history it is the law applied to what is shown, and others could come close.
    """

    def __init__(self, options: None, context: Context) -> None:
        self._world: World | None = None

    def applies(self, splits: Splits) -> bool:
        """Whether the best possible score is known for this data."""
        return splits.name == "demo" and {"genre", "popularity", "friends"} <= set(splits.items.facts)

    def fit(self, splits: Splits) -> None:
        """Reads the world from the item table.

        Raises:
            InputError: data whose law is not known.
        """
        if not self.applies(splits):
            raise InputError(
                f"the best possible score is not known for data {splits.name!r}",
                where="evaluate.baselines",
                fix="leave best_possible out; it is for data `demo`",
            )
        self._world = World.of(splits.items)

    def score(self, rows: Rows, candidates: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
        if self._world is None:
            raise RuntimeError("score before fit")
        out = np.empty(candidates.shape)
        for start in range(0, len(rows), _CHUNK):
            chunk = slice(start, start + _CHUNK)
            out[chunk] = np.take_along_axis(self._world.next_item(rows.history[chunk]), candidates[chunk], axis=1)
        return out
