"""Encoders on made-up items: given vectors, given training sequences, built as the engine builds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from polo import Choice, Context, FloatArray, ItemTable, Sequences, Splits
from polo.testing import context, small_splits
from tests.contracts.components import ENCODERS, load


class Given:
    """An encoder that gives the vectors that it is told."""

    def __init__(self, vectors: FloatArray) -> None:
        self.given = vectors

    def vectors(self, items: ItemTable, splits: Splits) -> FloatArray:
        return self.given

    def fingerprint(self) -> str:
        return "given"


def built(choice: Choice, ctx: Context | None = None) -> Any:
    """A live encoder; the choice ``given`` holds an encoder as its options."""
    if choice.name == "given":
        return choice.options
    component = ENCODERS[choice.name]
    ctx = ctx or context()
    return load(component.build)(choice.options, replace(ctx, build=lambda inner: built(inner, ctx)))


def encoder(name: str, *, ctx: Context | None = None, **options: Any) -> Any:
    return built(Choice("encoder", name, load(str(ENCODERS[name].options))(**options)), ctx)


def of(name: str, vectors: FloatArray, splits: Splits, **options: Any) -> FloatArray:
    """What a transform makes of given vectors."""
    made = encoder(name, from_=Choice("encoder", "given", Given(vectors)), **options)
    found: FloatArray = made.vectors(splits.items, splits)
    return found


def taken(n_items: int, sequences: Sequence[Sequence[int]]) -> Splits:
    """Splits whose training sequences are these; nothing else of them is meant to be read."""
    small = small_splits(users=3, items=20)
    table = ItemTable([f"Item {i}" for i in range(n_items)], [str(i) for i in range(n_items)])
    return replace(small, items=table, sequences=Sequences.of(range(len(sequences)), sequences))


def span(z: FloatArray) -> FloatArray:
    """The projector on the span of the columns of ``z``, which must be independent."""
    q = np.linalg.qr(z)[0]
    return q @ q.T
