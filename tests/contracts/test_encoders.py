"""Every encoder that polo ships keeps the contract of its kind."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from polo import Encoder, InForward
from polo.testing import check_encoder, context, small_splits
from tests.contracts.components import ENCODERS, choice, load, make

LSA = choice("encoder", "lsa", k=8, min_items=1)
CASES: list[tuple[str, dict[str, Any]]] = [
    ("lsa", {"k": 8, "min_items": 1}),
    ("pca", {"from_": LSA, "k": 3}),
    ("whiten", {"from_": LSA, "k": 3, "ridge": 0.1}),
    ("norm", {"from_": LSA}),
    ("rec_pca", {"from_": LSA, "k": 3}),
    ("rec_pca", {"from_": LSA, "k": 3, "window": 2, "laplacian": "combinatorial", "form": "ratio"}),
    ("norm", {"from_": choice("encoder", "rec_pca", from_=LSA, k=3)}),
]


@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v)[:60])
def test_every_encoder_keeps_the_contract(name: str, options: dict[str, Any]) -> None:
    splits = small_splits()
    made = make("encoder", name, context(splits=splits), **options)
    assert isinstance(made, Encoder)
    check_encoder(made, splits)


def test_a_file_keeps_the_contract(tmp_path: Path) -> None:
    splits = small_splits()
    np.save(tmp_path / "v.npy", np.random.default_rng(0).normal(size=(60, 4)))
    check_encoder(make("encoder", "file", context(splits=splits), path=str(tmp_path / "v.npy")), splits)


def test_norm_alone_asks_to_be_applied_in_every_forward() -> None:
    asking = {
        n for n, c in ENCODERS.items() if isinstance(make("encoder", n, context(build=lambda c: None)), InForward)
    }
    assert asking == {"norm"}


def test_building_an_encoder_reads_no_file() -> None:
    """A run that keeps its vectors builds the encoder where its files are gone."""
    for name, component in ENCODERS.items():
        options = load(str(component.options))()
        if name == "file":
            options = replace(options, path="/nowhere/v.npy")
        load(component.build)(options, context(build=lambda c: None))


class Peeks:
    """Reads held-out rows."""

    def vectors(self, items: Any, splits: Any) -> Any:
        return np.full((len(items), 2), float(len(splits.test)))

    def fingerprint(self) -> str:
        return "x"


def test_an_encoder_that_reads_held_out_rows_is_caught() -> None:
    with pytest.raises(AssertionError, match="held-out rows have no influence"):
        check_encoder(Peeks(), small_splits())
