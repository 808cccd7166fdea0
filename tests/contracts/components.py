"""The losses, betas, samplers and encoders that polo ships, by name, and how one is built."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

from torch import Tensor

from polo import Choice, Component, Context
from polo.testing import Case, context, small_splits
from polo.testing.losses import gradient
from tests.repository.sources import PLUGINS

HOOKS = {"loss": "polo_loss_heads", "beta": "polo_beta_schedules", "sampler": "polo_negative_samplers",
         "encoder": "polo_item_encoders"}  # fmt: skip


def declared(kind: str) -> dict[str, Component]:
    hooks = [getattr(importlib.import_module(plugin), HOOKS[kind], list) for plugin in PLUGINS]
    found = [component for hook in hooks for component in hook()]
    assert len({c.name for c in found}) == len(found)
    return {c.name: c for c in found}


LOSSES, BETAS, SAMPLERS, ENCODERS = (declared(kind) for kind in ("loss", "beta", "sampler", "encoder"))
ALL: Mapping[str, Mapping[str, Component]] = {"loss": LOSSES, "beta": BETAS, "sampler": SAMPLERS, "encoder": ENCODERS}


def load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def make(kind: str, name: str, ctx: Context, **options: Any) -> Any:
    """A live component, built as the engine builds it."""
    component = ALL[kind][name]
    ctx = replace(ctx, build=lambda choice: make(choice.kind, choice.name, ctx, **_told(choice.options)))
    made = None if component.options is None else load(component.options)(**options)
    return load(component.build)(made, ctx)


def _told(options: Any) -> dict[str, Any]:
    """Options of a choice by name: tests give a mapping, defaults of options hold a dataclass."""
    return {f.name: getattr(options, f.name) for f in fields(options)} if is_dataclass(options) else options or {}


def head(name: str, **options: Any) -> Any:
    """A loss."""
    return make("loss", name, context(splits=small_splits()), **options)


def value(name: str, case: Case, **options: Any) -> Tensor:
    """The loss of each row of a case."""
    return gradient(head(name, **options), case)[0]


def choice(kind: str, name: str, **options: Any) -> Choice:
    return Choice(kind, name, options)


UNIFORM = choice("sampler", "uniform", k=8)

#: options of a sampler besides its defaults
SAMPLER_CASES: list[tuple[str, dict[str, Any]]] = [
    ("uniform", {"k": 5}),
    ("uniform", {"k": 100, "resample": "epoch"}),
    ("uniform", {"k": 5, "pool": "catalogue"}),
    ("popularity", {"k": 5}),
    ("popularity", {"k": 100, "alpha": 2.0, "resample": "epoch"}),
    ("in_batch", {"k": 4}),
    ("catalogue", {}),
    ("given", {}),
    ("given", {"k": 3}),
    ("top", {}),
    ("policy", {"k": 4}),
    ("hard", {"from_": UNIFORM, "n": 3}),
    ("dns", {"from_": UNIFORM, "k": 2, "m": 4}),
    ("softmax", {"from_": UNIFORM, "n": 3, "temperature": 2.0}),
    ("curriculum", {"from_": UNIFORM, "n": 3}),
    ("self_play", {"from_": UNIFORM, "k": 2}),
    ("noisy", {"from_": UNIFORM, "rate": 0.5}),
    ("reference_margin", {"from_": UNIFORM, "most": 0.5}),
    ("boundary", {"from_": UNIFORM}),
    ("boundary", {"from_": UNIFORM, "top_k": 2}),
    ("boundary", {"from_": UNIFORM, "statistic": "mean", "clusters": 2}),
    ("boundary", {"from_": UNIFORM, "method": "sklearn"}),
    ("boundary", {"from_": choice("sampler", "hard", from_=UNIFORM, n=6)}),
    ("hard", {"from_": choice("sampler", "dns", from_=UNIFORM, k=4, m=6), "n": 2}),
]
