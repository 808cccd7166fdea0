"""The laws that every encoder keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polo.data import Splits
from polo.protocols import Encoder


def check_encoder(encoder: Encoder, splits: Splits) -> None:
    """Checks an encoder on the items of ``splits``.

    The laws: float32 or float64 ``[n, d]``, finite; the same vectors every time; held-out rows have no influence, nor
    what is known from them; a fingerprint that is text and stays.

    Raises:
        AssertionError: names the broken law.
    """
    vectors = encoder.vectors(splits.items, splits)
    assert vectors.ndim == 2, f"vectors are [n, d], not {vectors.shape}"
    assert len(vectors) == len(splits.items), f"a vector for each of {len(splits.items)} items, not {len(vectors)}"
    assert vectors.dtype in (np.float32, np.float64), f"vectors are float32 or float64, not {vectors.dtype}"
    assert np.isfinite(vectors).all(), "vectors are finite"
    assert np.array_equal(vectors, encoder.vectors(splits.items, splits)), "the same vectors every time"
    blind = replace(splits, valid=splits.train[:0], test=splits.train[:0], known_all=splits.known_train)
    assert np.array_equal(vectors, encoder.vectors(splits.items, blind)), "held-out rows have no influence"
    said = encoder.fingerprint()
    assert isinstance(said, str), f"the fingerprint is text, not {type(said).__name__}"
    assert said, "the fingerprint says something"
    assert said == encoder.fingerprint(), "the fingerprint stays"
