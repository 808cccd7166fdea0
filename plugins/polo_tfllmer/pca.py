"""The encoders ``pca`` and ``whiten``: fewer dimensions by variance alone. Know vectors; know no interactions."""

from __future__ import annotations

import numpy as np

from polo import FloatArray, ItemTable, Splits
from polo_tfllmer.linear import directions, mean_of, project, scatter
from polo_tfllmer.options import PCAOptions, WhitenOptions
from polo_tfllmer.transform import Transform

#: variances below this share of the largest are rounding
_NOTHING = 1e-10


class PCA(Transform[PCAOptions]):
    """``Z = (X - 1 m^T) W``, W the k leading eigenvectors of ``C = (X - 1 m^T)^T (X - 1 m^T)``. Float64.

    Example (the first direction holds all but a little):
        >>> from polo.testing import context, small_splits
        >>> from polo_tfllmer.lsa import LSA, LSAOptions
        >>> splits = small_splits(users=3, items=20)
        >>> made = context(splits=splits, build=lambda choice: LSA(choice.options, context()))
        >>> PCA(PCAOptions(k=2), made).vectors(splits.items, splits).shape
        (20, 2)
    """

    name = "pca"

    def vectors(self, items: ItemTable, splits: Splits) -> FloatArray:
        x = self.inner.vectors(items, splits)
        mean = mean_of(x)
        return project(x, mean, directions(scatter(x, mean), self.options.k)[1])


class Whiten(Transform[WhitenOptions]):
    """PCA whose components all have variance 1: ``Z_j / sqrt(v_j + ridge * v_1)``, v_j the variance of component j.

    Components without variance are 0. Float64.

    Example:
        >>> from polo.testing import context, small_splits
        >>> from polo_tfllmer.lsa import LSA, LSAOptions
        >>> splits = small_splits(users=3, items=20)
        >>> made = context(splits=splits, build=lambda choice: LSA(LSAOptions(min_items=1), context()))
        >>> Whiten(WhitenOptions(k=2), made).vectors(splits.items, splits).std(axis=0).round(6).tolist()
        [1.0, 1.0]
    """

    name = "whiten"

    def vectors(self, items: ItemTable, splits: Splits) -> FloatArray:
        x = self.inner.vectors(items, splits)
        mean = mean_of(x)
        values, w = directions(scatter(x, mean) / max(1, len(x)), self.options.k)
        there = values > _NOTHING * max(values[0], 0.0)
        spread = np.sqrt(np.where(there, values + self.options.ridge * values[0], 1.0))
        return project(x, mean, w * np.where(there, 1 / spread, 0.0))
