"""Scores every system of a run on the same lists, and writes what came out. Knows run folders and the recipe.

What is made of scores (metrics, intervals, tests) is in ``polo.evaluate.metrics``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from accelerate import Accelerator

from polo.candidates import protocol, protocol_hash
from polo.console import Console
from polo.errors import PoloError
from polo.evaluate import metrics, slices
from polo.evaluate.examples import examples
from polo.evaluate.resume import Parts
from polo.model.sharding import unsharded
from polo.protocols import Policy, Reports
from polo.recipe.model import Recipe, Resolved
from polo.run.prepare import Prepared
from polo.store.files import write_json
from polo.store.runfolder import RunFolder


def protocol_of(recipe: Recipe, ready: Prepared) -> dict[str, Any]:
    """The protocol of a recipe's evaluation, with its hash."""
    c = recipe.candidates
    subsampled = recipe.evaluate.rows is not None
    found = protocol(
        ready.splits, ready.test, split=recipe.evaluate.split, negatives=c.negatives, seed=c.seed,
        subsample_seed=recipe.candidates.seed if subsampled else None,
    )  # fmt: skip
    return {**found, "hash": protocol_hash(found)}


def assess(
    resolved: Resolved, ready: Prepared, policy: Policy, folder: RunFolder, accelerator: Accelerator, console: Console
) -> dict[str, Any]:
    """Baselines and the policy after each stage, on the same lists; writes ``eval/`` and ``results.json``."""
    recipe = resolved.recipe
    rows, composer = ready.test, ready.composer
    if rows.candidates is None:
        raise PoloError("rows without candidate lists cannot be evaluated")
    systems = []
    for name, baseline in composer.baselines().items():
        baseline.fit(ready.splits)
        systems.append(metrics.System(name, baseline.score(rows, rows.candidates)))
    evaluators, scorer, names = ready.evaluators, ready.scorer, list(recipe.stages)
    protocol_ = protocol_of(recipe, ready)
    place, summary = folder.evaluation_under(protocol_["hash"])
    facts = {**resolved.tree["evaluate"]["scorer"], "precision": str(accelerator.mixed_precision)}
    parts = Parts(place / "parts", scorer, facts, accelerator, console)
    generating = any("generation" in evaluator.needs for evaluator in evaluators)
    by_stage: dict[str, Any] = {}
    reports: dict[str, Any] = {}
    for name in names:
        with unsharded(policy.module):
            policy.load(folder.stage(name) / "policy")
        by_stage[name], tokens = parts.scores(name, policy, rows)
        generated = parts.completions(name, policy, rows) if generating else None
        reference = by_stage.get(recipe.reference) if name != recipe.reference else None
        called = metrics.MODEL if name == names[-1] else name
        if isinstance(scorer, Reports) and scorer.report:
            reports[called] = dict(scorer.report)
        systems.append(metrics.System(called, by_stage[name], tokens, reference, generated))
    values = {system.name: metrics.per_row(rows, system, evaluators) for system in systems}
    results = {
        "protocol": protocol_,
        "rows": len(rows),
        "users": len(np.unique(rows.user)),
        "baselines": "all" if recipe.evaluate.baselines == "all" else [s.name for s in systems[: -len(names)]],
        "scorer": {"use": recipe.evaluate.scorer.name, "reports": reports},
        **metrics.summarise(rows, values),
        "whole": {system.name: metrics.whole(rows, system, evaluators) for system in systems},
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
