"""Every sampler that gives log_q: importance-weighted counts are unbiased."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import numpy as np
import pytest

from polo import RowRandom
from polo.testing import context, small_splits
from polo.testing.samplers import PeekAll
from polo_preference.samplers.pool import forbidden
from polo_preference.samplers.weighted import log_q
from tests.contracts.components import SAMPLER_CASES, SAMPLERS, load, make

EPOCHS = 600


def gives(name: str, options: dict[str, Any]) -> bool:
    if options.get("method") == "sklearn":
        return False  # selects among another sampler's draws
    return "log_q" in getattr(make("sampler", name, context(splits=small_splits()), **options), "gives", ())


CASES = [(name, options) for name, options in SAMPLER_CASES if gives(name, options)]


def test_every_sampler_has_a_case() -> None:
    assert {name for name, _ in SAMPLER_CASES} == set(SAMPLERS)
    assert {"popularity", "in_batch", "policy"} <= {name for name, _ in CASES}


def test_samplers_that_give_it_of_their_own_say_so_in_their_declaration() -> None:
    """By the tag an error finds what to draw with."""
    own = {name for name, component in SAMPLERS.items() if "wrapper" not in component.tags}
    assert {name for name, _ in CASES} & own == {name for name in SAMPLERS if "log_q" in SAMPLERS[name].tags}


@pytest.mark.parametrize("lists", [None, 12])
@pytest.mark.parametrize("batch", [3, 16])
@pytest.mark.parametrize(("name", "options"), CASES, ids=lambda v: str(v))
def test_law_importance_weighted_counts_are_unbiased(
    name: str, options: dict[str, Any], batch: int, lists: int | None
) -> None:
    """``E[sum over the n draws of 1 / (n q_j)] = 1`` for each item that a row can draw: 5 standard errors."""
    if lists and name in ("in_batch", "policy"):
        pytest.skip("it refuses lists")
    splits = small_splits(lists=lists)
    looking = PeekAll(len(splits.items))
    component = SAMPLERS[name].options
    anew = component is not None and "resample" in {f.name for f in fields(load(component))}
    part = make("sampler", name, context(splits=splits), **{**options, **({"resample": "epoch"} if anew else {})})
    train, n_items = splits.train, len(splits.items)
    every = np.arange(n_items)
    reached = every if name != "in_batch" else np.unique(train.target)
    can = np.zeros((len(train), n_items), dtype=bool)
    can[:, reached] = True
    can &= ~forbidden(train, splits.known_train)(np.arange(len(train)), np.broadcast_to(every, can.shape))
    if train.candidates is not None:
        can &= (train.candidates[:, :, None] == every).any(axis=1)
    order, possible, total = np.random.default_rng(0), np.zeros(n_items), np.zeros((EPOCHS, n_items))
    for epoch in range(EPOCHS):
        at = order.permutation(len(train))[:batch]
        draw = part.draw(train[at], RowRandom(0, "stage", epoch), looking)
        assert draw.log_q is not None
        items, valid = draw.items.numpy(), draw.valid.numpy()
        weight = np.exp(-draw.log_q.numpy()) / np.maximum(valid.sum(axis=1, keepdims=True), 1)
        np.add.at(total[epoch], items[valid], weight[valid])
        total[epoch] -= can[at].sum(axis=0)
        possible += can[at].sum(axis=0)
    enough = possible >= 300
    assert enough.any()
    # log_q is float32: where every item is drawn and counts once, only its rounding is left
    error = total.sum(axis=0) / (np.sqrt((total**2).sum(axis=0)) + 1e-5 * possible + 1e-12)
    assert np.abs(error[enough]).max() < 5, f"items counted wrongly: {error[enough].round(1)}"
    mean = total.sum(axis=1)
    assert abs(mean.sum()) < 5 * np.sqrt((mean**2).sum()) + 1e-5 * possible.sum(), "the number of items is biased"


def test_a_row_that_can_draw_one_item_counts_it_once() -> None:
    """n = 1 of 1: 1 / (1 q) = 1, so log q = 0; a second column was not drawn."""
    found = log_q(np.array([[3.0, 1.0]]), np.array([[True, False]]), np.array([3.0]), np.array([1]))
    assert found[0, 0] == 0.0
