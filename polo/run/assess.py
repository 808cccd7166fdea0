"""Scores every system of a run on the same rows, and writes what came out. Knows run folders and the recipe.

What is made of scores (metrics, intervals, tests) is in ``polo.evaluate.metrics``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from accelerate import Accelerator

from polo.candidates import protocol, protocol_hash
from polo.console import Console
from polo.evaluate import metrics, slices
from polo.evaluate.examples import examples
from polo.evaluate.kinds import kind_of
from polo.evaluate.resume import Parts
from polo.model.sharding import unsharded
from polo.model.weights import Weights, restore
from polo.protocols import Policy, Reports
from polo.recipe.model import Recipe, Resolved
from polo.run.prepare import Prepared
from polo.store.cost import Ledger
from polo.store.files import write_json
from polo.store.runfolder import RunFolder


def protocol_of(recipe: Recipe, ready: Prepared) -> dict[str, Any]:
    """The protocol of a recipe's evaluation, with its hash."""
    c = recipe.candidates
    subsampled = recipe.evaluate.rows is not None
    found = protocol(
        ready.splits, ready.test, split=recipe.evaluate.split, negatives=c.negatives, seed=c.seed,
        mask=c.mask, subsample_seed=recipe.candidates.seed if subsampled else None,
    )  # fmt: skip
    return {**found, "hash": protocol_hash(found)}


def assess(
    resolved: Resolved,
    ready: Prepared,
    policy: Policy,
    folder: RunFolder,
    accelerator: Accelerator,
    console: Console,
    ledger: Ledger,
    start: Weights | None = None,
) -> dict[str, Any]:
    """Baselines and the policy after each stage, on the same rows; writes ``eval/`` and ``results.json``.

    Args:
        start: the policy's weights before the first stage, where they are measured too.
    """
    recipe = resolved.recipe
    rows, composer = ready.test, ready.composer
    evaluators, scorer, names = ready.evaluators, ready.scorer, list(recipe.stages)
    protocol_ = protocol_of(recipe, ready)
    place, summary = folder.evaluation_under(protocol_["hash"])
    facts = {
        **resolved.tree["evaluate"]["scorer"],
        "precision": str(accelerator.mixed_precision),
        "evaluators": resolved.tree["evaluate"]["evaluators"],
    }
    parts = Parts(place / "parts", scorer, facts, accelerator, console)
    kind = kind_of(rows, evaluators, parts)
    systems: list[metrics.Outcome] = []
    for name, baseline in composer.baselines().items():
        with ledger.part(name, system=True):
            baseline.fit(ready.splits)
            systems.append(kind.baseline(name, baseline))
    baselines = [system.name for system in systems]
    reports: dict[str, Any] = {}
    if start is not None:
        with unsharded(policy.module):
            restore(policy.module, start)
        with ledger.part(metrics.START, system=True):
            systems.append(kind.policy(metrics.START, metrics.START, policy, None))
    for name in names:
        with unsharded(policy.module):
            policy.load(folder.stage(name) / "policy")
        called = metrics.MODEL if name == names[-1] else name
        with ledger.part(called, system=True):
            systems.append(kind.policy(name, called, policy, recipe.reference if name != recipe.reference else None))
        if isinstance(scorer, Reports) and scorer.report:
            reports[called] = dict(scorer.report)
    values = {system.name: system.values(rows, evaluators) for system in systems}
    results = {
        "protocol": protocol_,
        "rows": len(rows),
        "users": len(np.unique(rows.user)),
        "baselines": "all" if recipe.evaluate.baselines == "all" else baselines,
        "scorer": {"use": recipe.evaluate.scorer.name, "reports": reports},
        **metrics.summarise(rows, values),
        "whole": {system.name: system.figures(rows, evaluators) for system in systems},
        "slices": slices.sliced(rows, ready.splits, systems[-len(names) :], values),
    }
    if accelerator.is_main_process:
        for system in systems:
            metrics.write_scores(place, rows, system)
        metrics.write_per_row(place, rows, values)
        write_json(place / "examples.json", examples(rows, ready.splits, systems[-1]))
        write_json(summary, results)
        parts.remove()
    accelerator.wait_for_everyone()
    return results
