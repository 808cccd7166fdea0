"""The negative sampler `co_taken`."""

import numpy as np
import torch
from jaxtyping import Bool
from polo import PAD, Context, Draw, InputError, IntArray, Peek, RowRandom, Rows, Scores, Splits
from scipy.sparse import csr_array
from torch import Tensor

from polo_plugin_co_taken.options import CoTakenOptions


class CoTaken:
    """k different items, those more likely that were taken right beside the row's last item.

    ``P(first draw = j | row) ~ floor + c(last, j)``, where c counts how often two items stand side by side in training
    sequences; further draws leave out what was drawn. Such negatives are near misses: plausible, but not chosen.

    Weighted draws without replacement: Efraimidis & Spirakis, Information Processing Letters 97(5), 2006, algorithm A:
    the k largest of ``u_j^(1 / w_j)`` with u uniform. Here ``log(u_j) / w_j``, which has the same order.
    """

    def __init__(self, options: CoTakenOptions, context: Context) -> None:
        if context.splits is None:
            raise InputError("sampler 'co_taken' needs data to draw from")
        self.k, self._floor, self._splits = options.k, options.floor, context.splits
        self._beside = side_by_side(context.splits)

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        n = len(self._splits.items)
        lists = np.broadcast_to(np.arange(n), (len(rows), n)) if rows.candidates is None else rows.candidates
        last = rows.history[:, -1]  # histories are padded on the left
        weight = self._beside[last.clip(min=0)].toarray() * (last != PAD)[:, None]
        weight = self._floor + np.take_along_axis(weight, lists, axis=1)
        # the numbers of a row are addressed by its id, so its draw does not depend on the batch that it stands in
        keys = np.log(np.maximum(rng.uniform(rows.id, lists.shape[1]), 1e-300)) / weight
        keys[self._forbidden(rows, lists)] = -np.inf
        order = np.argsort(-keys, axis=1, kind="stable")[:, : self.k]
        items, there = (np.take_along_axis(one, order, axis=1) for one in (lists, np.isfinite(keys)))
        return Draw(torch.from_numpy(items), torch.from_numpy(there))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected

    def _forbidden(self, rows: Rows, lists: IntArray) -> np.ndarray:
        """The target, what the prompt shows, and what the user is known to have taken."""
        shown = np.zeros(lists.shape, dtype=np.bool_)
        for column in rows.history.T:
            shown |= lists == column[:, None]
        return shown | (lists == rows.target[:, None]) | self._splits.known_train.has(rows.user, lists)


def side_by_side(splits: Splits) -> csr_array:
    """``c[i, j]``: how often i and j stand side by side in training sequences, in either order.

    Example (0 1 2 and 1 0: the pair of 0 and 1 twice, that of 1 and 2 once):
        >>> from dataclasses import replace
        >>> from polo import Sequences
        >>> from polo.testing import small_splits
        >>> splits = replace(small_splits(items=20), sequences=Sequences.of([0, 1], [[0, 1, 2], [1, 0]]))
        >>> side_by_side(splits)[:3, :3].toarray().tolist()
        [[0.0, 2.0, 0.0], [2.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    items, n = splits.sequences.items, len(splits.items)
    inside = np.ones(max(len(items) - 1, 0), dtype=np.bool_)
    ends = splits.sequences.offsets[1:-1]
    inside[ends[(ends > 0) & (ends < len(items))] - 1] = False  # the last of one sequence and the first of the next
    left, right = items[:-1][inside], items[1:][inside]
    ones = np.ones(2 * len(left))
    return csr_array((ones, (np.concatenate([left, right]), np.concatenate([right, left]))), shape=(n, n))
