"""The baseline that reads items and trains nothing: what they say of each other, by the vectors of an encoder."""

from __future__ import annotations

import numpy as np

from polo import Context, Encoder, FloatArray, InputError, IntArray, Rows, Sequences, Splits
from polo_baselines.options import ContentOptions
from polo_baselines.profiles import ENTRIES, Profiles


class ContentKNN:
    """score(c) = sum over the row's items of ``cos(v_h, v_c)``, v the vectors of an encoder; 0 for a vector of zeros.

    Pazzani & Billsus, Content-Based Recommendation Systems, 2007, doi 10.1007/978-3-540-72079-9_10. It knows an item
    that nobody took as well as any other, so that a model which reads titles has to be better than this one.

    Example (items 0 and 1 look one way, item 2 another; the row has shown item 0):
        >>> from types import SimpleNamespace
        >>> encoder = SimpleNamespace(vectors=lambda items, splits: np.array([[2.0, 0.0], [1.0, 0.0], [0.0, 3.0]]))
        >>> made = ContentKNN(ContentOptions(encoder=None), SimpleNamespace(build=lambda choice: encoder))
        >>> made.fit(SimpleNamespace(sequences=Sequences.of([0], [[2]]), items=range(3)))
        >>> rows = Rows(np.arange(1), np.array([0]), np.array([[0]]), np.zeros(1, np.int64))
        >>> made.score(rows, np.array([[1, 2]])).tolist()
        [[1.0, 0.0]]
    """

    needs = frozenset({"items"})

    def __init__(self, options: ContentOptions, context: Context) -> None:
        self._options = options
        self._encoder: Encoder = context.build(options.encoder)
        self._vectors: FloatArray = np.empty((0, 0))
        self._profiles = Profiles(options.looks_at, Sequences.of([], []), 0)

    def fit(self, splits: Splits) -> None:
        vectors = np.asarray(self._encoder.vectors(splits.items, splits), dtype=np.float64)
        if len(vectors) != len(splits.items) or not np.isfinite(vectors).all():
            raise InputError(
                f"encoder '{self._options.encoder.name}' gives {list(vectors.shape)}, not a finite vector for each of "
                f"{len(splits.items):,} items",
                where="baseline content_knn",
                fix="choose another `encoder`",
            )
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        self._vectors = vectors / np.where(length > 0, length, 1.0)
        self._profiles = Profiles(self._options.looks_at, splits.sequences, len(splits.items))

    def score(self, rows: Rows, candidates: IntArray) -> FloatArray:
        out = np.empty(candidates.shape)
        step = max(1, ENTRIES // max(1, len(self._vectors)))
        for start in range(0, len(candidates), step):
            here = slice(start, start + step)
            every = (self._profiles.of(rows[here]) @ self._vectors) @ self._vectors.T
            out[here] = np.take_along_axis(every, candidates[here], axis=1)
        return out
