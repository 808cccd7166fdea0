"""The hooks: the only page to read before writing a plugin.

A plugin is a module (entry point of group ``polo``, or a file given with ``--plugin``) with functions marked
``@polo.hookimpl``. There is one hook for each kind of component, which returns declarations, and four events, which
only observe: one that raises is named, told nothing more, and the run goes on. An implementation takes any subset of
the arguments shown here, by name, without defaults. The module may say ``POLO_PLUGIN_API = 1``: which version of these
contracts (``polo.PLUGIN_API``) it was written for. ``polo plugin new NAME --kind KIND`` writes a package to begin with.

Example:
    >>> from polo import Component, hookimpl
    >>> @hookimpl
    ... def polo_loss_heads():
    ...     return [Component(name="mine", build="polo_plugin_x.loss:Mine", summary="my own loss")]
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pluggy

from polo.plugin.component import Component

hookspec = pluggy.HookspecMarker("polo")
hookimpl = pluggy.HookimplMarker("polo")


@hookspec
def polo_data_sources() -> Sequence[Component]:  # type: ignore[empty-body]
    """Where rows come from. Built objects follow :class:`polo.protocols.DataSource`."""


@hookspec
def polo_policies() -> Sequence[Component]:  # type: ignore[empty-body]
    """Models that are trained. :class:`polo.protocols.Policy`."""


@hookspec
def polo_bases() -> Sequence[Component]:  # type: ignore[empty-body]
    """Makers or finders of base models for text policies. :class:`polo.protocols.Base`."""


@hookspec
def polo_negative_samplers() -> Sequence[Component]:  # type: ignore[empty-body]
    """Which negatives are scored, and which of them enter the loss. :class:`polo.protocols.Sampler`."""


@hookspec
def polo_beta_schedules() -> Sequence[Component]:  # type: ignore[empty-body]
    """Strength of each negative. :class:`polo.protocols.Beta`."""


@hookspec
def polo_loss_heads() -> Sequence[Component]:  # type: ignore[empty-body]
    """From scores to a loss of each row. :class:`polo.protocols.Loss`."""


@hookspec
def polo_optimisers() -> Sequence[Component]:  # type: ignore[empty-body]
    """What moves weights along their gradient. :class:`polo.protocols.Optimiser`."""


@hookspec
def polo_weight_averages() -> Sequence[Component]:  # type: ignore[empty-body]
    """How the weights of a stage's steps are averaged. :class:`polo.protocols.Average`."""


@hookspec
def polo_item_encoders() -> Sequence[Component]:  # type: ignore[empty-body]
    """Item vectors and their transforms. :class:`polo.protocols.Encoder`."""


@hookspec
def polo_scorers() -> Sequence[Component]:  # type: ignore[empty-body]
    """Engines that score candidates at evaluation. :class:`polo.protocols.Scorer`."""


@hookspec
def polo_evaluators() -> Sequence[Component]:  # type: ignore[empty-body]
    """Metrics. :class:`polo.protocols.Evaluator`."""


@hookspec
def polo_baselines() -> Sequence[Component]:  # type: ignore[empty-body]
    """What every model is measured beside. :class:`polo.protocols.Baseline`."""


@hookspec
def polo_audits() -> Sequence[Component]:  # type: ignore[empty-body]
    """Checks of data and protocol. :class:`polo.protocols.Audit`."""


@hookspec
def polo_trackers() -> Sequence[Component]:  # type: ignore[empty-body]
    """Receivers of every metric line. :class:`polo.protocols.Tracker`."""


@hookspec
def polo_launchers() -> Sequence[Component]:  # type: ignore[empty-body]
    """What starts the processes of a run: ``polo run --launcher NAME``. :class:`polo.protocols.Launcher`."""


@hookspec
def polo_recipes() -> Sequence[Path]:  # type: ignore[empty-body]
    """Folders of recipes for ``polo ls recipes`` and ``polo cp``."""


@hookspec
def polo_cli_commands() -> Mapping[str, str]:  # type: ignore[empty-body]
    """Further commands: name -> import string of a function that typer can call; imported when it is used."""


@hookspec
def polo_run_started(run: Path, recipe: Mapping[str, Any]) -> None:
    """A run begins; ``run`` is its folder, ``recipe`` the resolved recipe as plain data."""


@hookspec
def polo_step_ended(stage: str, step: int, metrics: Mapping[str, float]) -> None:
    """An optimiser step ended (called once for each logged line)."""


@hookspec
def polo_evaluated(run: Path, results: Mapping[str, Any]) -> None:
    """An evaluation ended; ``results`` is what ``results.json`` holds."""


@hookspec
def polo_run_ended(run: Path, error: BaseException | None) -> None:
    """A run ended, well (``error`` is None) or not."""
