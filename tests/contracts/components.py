"""The losses, betas and samplers that polo ships, by name, and how one is built."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import polo_drrl
import polo_dynamicpo
import polo_lpo
import polo_preference
from polo import Choice, Component, Context

PLUGINS = (polo_preference, polo_dynamicpo, polo_lpo, polo_drrl)
HOOKS = {"loss": "polo_loss_heads", "beta": "polo_beta_schedules", "sampler": "polo_negative_samplers"}


def declared(kind: str) -> dict[str, Component]:
    found = [c for plugin in PLUGINS if hasattr(plugin, HOOKS[kind]) for c in getattr(plugin, HOOKS[kind])()]
    assert len({c.name for c in found}) == len(found)
    return {c.name: c for c in found}


LOSSES, BETAS, SAMPLERS = (declared(kind) for kind in ("loss", "beta", "sampler"))
ALL: Mapping[str, Mapping[str, Component]] = {"loss": LOSSES, "beta": BETAS, "sampler": SAMPLERS}


def load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def make(kind: str, name: str, ctx: Context, **options: Any) -> Any:
    """A live component, built as the engine builds it."""
    component = ALL[kind][name]
    ctx = replace(ctx, build=lambda choice: make(choice.kind, choice.name, ctx, **(choice.options or {})))
    made = None if component.options is None else load(component.options)(**options)
    return load(component.build)(made, ctx)


def choice(kind: str, name: str, **options: Any) -> Choice:
    return Choice(kind, name, options)


UNIFORM = choice("sampler", "uniform", k=8)
