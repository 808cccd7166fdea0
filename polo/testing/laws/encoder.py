"""What every encoder keeps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from polo.protocols import Encoder
from polo.testing.subject import Subject


def gives_a_vector_an_item(subject: Subject) -> None:
    """float32 or float64 `[n, d]`, finite: row i for item i."""
    encoder: Encoder = subject.new()
    splits = subject.splits
    vectors = encoder.vectors(splits.items, splits)
    assert vectors.ndim == 2, f"vectors are [n, d], not {vectors.shape}"
    assert len(vectors) == len(splits.items), f"a vector for each of {len(splits.items)} items, not {len(vectors)}"
    assert vectors.dtype in (np.float32, np.float64), f"vectors are float32 or float64, not {vectors.dtype}"
    assert np.isfinite(vectors).all(), "vectors are finite"


def gives_the_same_again(subject: Subject) -> None:
    """The same vectors every time, whoever built the encoder."""
    encoder, other = subject.new(), subject.new()
    splits = subject.splits
    vectors = encoder.vectors(splits.items, splits)
    assert np.array_equal(vectors, encoder.vectors(splits.items, splits)), "the same vectors every time"
    assert np.array_equal(vectors, other.vectors(splits.items, splits)), "and of another one that is built alike"


def learns_from_training_alone(subject: Subject) -> None:
    """Held-out rows, and what is known from them, have no influence."""
    encoder: Encoder = subject.new()
    splits = subject.splits
    blind = replace(splits, valid=splits.train[:0], test=splits.train[:0], known_all=splits.known_train)
    same = np.array_equal(encoder.vectors(splits.items, splits), encoder.vectors(splits.items, blind))
    assert same, "held-out rows have no influence"


def fingerprint_is_stable(subject: Subject) -> None:
    """The fingerprint is a text that stays, and is the same for two encoders built alike."""
    encoder, other = subject.new(), subject.new()
    said = encoder.fingerprint()
    assert isinstance(said, str), f"the fingerprint is text, not {type(said).__name__}"
    assert said, "the fingerprint says something"
    encoder.vectors(subject.splits.items, subject.splits)
    assert said == encoder.fingerprint() == other.fingerprint(), "the fingerprint stays"


LAWS = (gives_a_vector_an_item, gives_the_same_again, learns_from_training_alone, fingerprint_is_stable)
