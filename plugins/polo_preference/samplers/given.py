"""The negatives that come with the data: a row's own list, in its order."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import PAD, Context, Draw, IntArray, Need, Peek, PoloError, RowRandom, Rows, Scores
from polo_preference.options.samplers import GivenOptions
from polo_preference.samplers.pool import forbidden, splits_of


class Given:
    """Every item of a row's list but the target, or the first k; nothing is drawn.

    As for every sampler, what the user is known to have consumed in training is no negative. Of prompts with answers of
    their own nothing is known.
    Where lists differ in length, the columns behind a short one are not valid. A row with nothing but its target has no
    negative, and a loss that needs some leaves it out of the mean.

    Example:
        >>> lists = np.array([[5, 3, 8], [6, 2, PAD]])
        >>> rows = Rows(np.arange(2), np.arange(2), np.empty((2, 0), np.int64), np.array([5, 6]), lists)
        >>> others(rows).tolist()
        [[3, 8], [2, -1]]
    """

    needs: frozenset[Need] = frozenset({"given_lists"})

    def __init__(self, options: GivenOptions, context: Context) -> None:
        splits = splits_of(context)
        lists, self._known = splits.train.candidates, splits.known_train
        self._most = options.k
        #: for the plan of a run; 0 where lists are made later and no number is given
        self.k = options.k or (0 if lists is None else lists.shape[1] - 1)

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        """Items int64 ``[B, k]`` (fewer columns where lists are shorter).

        Raises:
            PoloError: rows without lists.
        """
        if rows.candidates is None:
            raise PoloError(
                "the lists of the data are hidden from the policy, so there is nothing to take negatives from",
                where="sampler",
                fix="set policy.prompt.candidates: shown and candidates.negatives: file, or draw with another sampler",
            )
        items = others(rows)[:, : self._most]
        items = items[:, : int((items != PAD).sum(axis=1).max(initial=0))]  # no column of nothing but padding
        valid = (items != PAD) & ~forbidden(rows, self._known)(np.arange(len(rows)), items)
        return Draw(torch.from_numpy(np.where(items == PAD, rows.target[:, None], items)), torch.from_numpy(valid))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected


def others(rows: Rows) -> IntArray:
    """Each list ``[B, n - 1]`` without its target, in order, padded on the right."""
    assert rows.candidates is not None
    order = np.argsort(rows.candidates == rows.target[:, None], axis=1, kind="stable")
    return np.take_along_axis(rows.candidates, order, axis=1)[:, :-1]
