"""Every item as a negative: full softmax, for policies that can score the whole catalogue."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor

from polo import Context, Draw, Need, Peek, RowRandom, Rows, Scores
from polo_preference.options.samplers import CatalogueOptions
from polo_preference.samplers.pool import all_but, catalogue_only, forbidden, splits_of


class Catalogue:
    """All items but the target, ``K = items - 1``; what the user is known to have consumed is not valid."""

    needs: frozenset[Need] = frozenset({"items"})

    def __init__(self, options: CatalogueOptions, context: Context) -> None:
        self._exclude, self._splits = options.exclude_known, splits_of(context)
        self.k = len(self._splits.items) - 1

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        catalogue_only(rows, "`catalogue`")
        items = all_but(rows.target, len(self._splits.items))
        valid = np.ones(items.shape, dtype=np.bool_)
        if self._exclude:
            valid = ~forbidden(rows, self._splits.known_train)(np.arange(len(rows)), items)
        return Draw(torch.from_numpy(items), torch.from_numpy(valid))

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return scores.valid_rejected
