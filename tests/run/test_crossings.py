"""Every sampler with every beta and every loss, on policies of both kinds, with a reference or without.

Each combination takes one real step, finite and with a gradient, or is refused before it in a sentence that names both
sides. There is no third outcome, and what is refused is what the components' declarations exclude.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import torch
from accelerate import Accelerator

from polo.console import Console
from polo.context import Choice
from polo.errors import RecipeError
from polo.model.reference import Reference, ScoreCache
from polo.model.weights import snapshot
from polo.plugin.load import Plugins, load_plugins
from polo.protocols import DrawsItems, Embeds, Refresh, TopItems, gives_of, needs_of
from polo.recipe import load
from polo.recipe.fields import fields_of, ref_kind
from polo.recipe.model import Stage
from polo.run.compose import Composer
from polo.train.objective import Objective
from polo.train.step import Stepper
from polo_preference.options.losses import SumOptions, Term

RECIPE = """\
polo: 1
name: crossing
data: small
policy: toy_logprob
reference: base
stages: {prefer: {loss: dpo, sampler: uniform, steps: 1, lr: 1}}
evaluate: {evaluators: [mrr], baselines: []}
"""
#: what a refusal must look like: a component, and what stands against it
REFUSAL = re.compile(
    r"(?P<kind>loss|sampler|beta) '(?P<name>\w+)' (needs|corrects) [^;]+; "
    r"(sampler '\w+' |data '\w+' |policy '\w+' |the recipe says `reference: none`|stage 'prefer' has no sampler)"
)
ROWS = 6


def choice(plugins: Plugins, kind: str, name: str) -> Choice:
    """The component with its defaults; a sampler that wraps another wraps `uniform`."""
    if (kind, name) == ("loss", "sum"):
        terms = tuple(Term(loss=choice(plugins, "loss", head)) for head in ("dmpo", "bpr"))
        return Choice(kind, name, SumOptions(of=terms))
    options = plugins.catalogue.find(kind, name).load_options()
    if options is None:
        return Choice(kind, name)
    required = [field for field in fields_of(options) if field.required]
    assert all(ref_kind(field.hint) == "sampler" for field in required), f"{kind} {name}: say here what it needs"
    inner = {field.attribute: choice(plugins, "sampler", "uniform") for field in required}
    return Choice(kind, name, options(**inner))


class World:
    """One policy with or without a reference; tries stages on it."""

    def __init__(self, folder: Path, policy: str, reference: str) -> None:
        self.plugins = load_plugins(files=[Path(__file__).with_name("crossing_plugin.py")])
        path = folder / "crossing.yaml"
        path.write_text(RECIPE, encoding="utf-8")
        words = (f"policy={policy}", f"reference={reference}")
        self.resolved = load(path, overrides=words, profile="none", plugins=self.plugins, gpu=False)
        self.composer = Composer(self.resolved, self.plugins.catalogue, Console(silent=True))
        self.splits, self.policy = self.composer.data(), self.composer.policy()
        self.rows = self.splits.train[:ROWS]
        self.frozen = {name: value * 1.5 for name, value in snapshot(self.policy.module).items()}
        self.accelerator = Accelerator(cpu=True)

    def all(self, kind: str) -> dict[str, Choice]:
        return {name: choice(self.plugins, kind, name) for name in self.plugins.catalogue.names(kind)}

    def objective(self, stage: Stage) -> Objective:
        one = copy.copy(self.composer)
        one._resolved = replace(self.resolved, recipe=replace(self.resolved.recipe, stages={"prefer": stage}))
        return one.objectives()["prefer"]

    def step(self, objective: Objective) -> float:
        """Norm of the gradient of one step; the step itself refuses a loss that is not finite."""
        reference = None
        if objective.needs("reference"):
            reference = Reference(self.policy, self.frozen, ScoreCache(None, {}, print), 10**6)
        stepper = Stepper(self.policy, replace(objective, reference=reference), self.accelerator, 10**6, (0, "prefer"))
        if isinstance(objective.sampler, Refresh):
            objective.sampler.refresh(0, self.rows, stepper.peek)
        judged = stepper.backward(self.rows, 0, 0, 0.5)
        assert all(bool(one.loss.isfinite().all()) for one in judged)
        gradient = torch.cat([p.grad.flatten() for p in self.policy.module.parameters() if p.grad is not None])
        self.policy.module.zero_grad()
        assert bool(gradient.isfinite().all())
        return float(gradient.norm())


def excluded(world: World, objective: Objective) -> bool:
    """Whether what the components declare rules the combination out."""
    needs = frozenset().union(*(needs_of(component) for _, component in objective.components))
    return (
        ("negatives" in needs and objective.sampler is None)
        or ("log_q" in needs and objective.sampler is not None and "log_q" not in gives_of(objective.sampler))
        or ("reference" in needs and world.resolved.recipe.reference == "none")
        or ("logprob" in needs and world.policy.unit == "similarity")
        or ("catalogue" in needs and not isinstance(world.policy, Embeds))
        or ("given_lists" in needs and world.splits.train.candidates is None)
        or ("top_items" in needs and not isinstance(world.policy, TopItems))
        or ("draw_items" in needs and not isinstance(world.policy, DrawsItems))
    )


def combinations(world: World, whole: bool) -> Iterator[tuple[Choice | None, Choice | None, Choice]]:
    """All triples (None: the stage has no sampler, no beta); else all pairs, with the third at a usual choice."""
    samplers: dict[str, Choice | None] = {"": None, **world.all("sampler")}
    betas: dict[str, Choice | None] = {"": None, **world.all("beta")}
    losses = world.all("loss")
    if whole:
        yield from product(samplers.values(), betas.values(), losses.values())
        return
    yield from product(samplers.values(), [betas["fixed"]], losses.values())
    yield from product([samplers["uniform"]], betas.values(), losses.values())
    yield from product(samplers.values(), betas.values(), [losses["bpr"]])


@pytest.mark.parametrize(
    ("policy", "reference", "whole"),
    [
        ("toy_logprob", "base", True),
        ("toy_logprob", "none", False),
        ("toy_similarity", "base", False),
        ("toy_similarity", "none", False),
        ("{use: mf, dim: 4}", "base", False),
        ("{use: sasrec, dim: 4}", "base", False),
        ("{use: gru4rec, dim: 4, hidden: 4}", "base", False),
        ("{use: lightgcn, dim: 4, l2: 0.1}", "base", False),
        ("{use: xsimgcl, dim: 4}", "base", False),
        ("{use: sasrec, dim: 4}", "none", False),
    ],
)
def test_every_combination_runs_or_is_refused_by_name(tmp_path: Path, policy: str, reference: str, whole: bool) -> None:
    world = World(tmp_path, policy, reference)
    outcomes = {"ran": 0, "refused": 0}
    for sampler, beta, loss in combinations(world, whole):
        stage = Stage(loss=loss, sampler=sampler, beta=beta, steps=1, lr=1.0)
        told = f"sampler {sampler and sampler.name}, beta {beta and beta.name}, loss {loss.name}"
        chosen: dict[str, Any] = {"sampler": sampler, "beta": beta, "loss": loss}
        built = {kind: None if c is None else world.composer.build(c) for kind, c in chosen.items()}
        if excluded(world, Objective(**built)):
            with pytest.raises(RecipeError) as refusal:
                world.objective(stage)
            for problem in refusal.value.problems:
                said = REFUSAL.match(problem.what)
                assert said, f"{told}: names no two sides: {problem.what}"
                assert chosen[said["kind"]].name == said["name"], f"{told}: blames {said['name']}"
                assert problem.fix
            outcomes["refused"] += 1
        else:
            assert world.step(world.objective(stage)) > 0, f"{told}: no gradient"
            outcomes["ran"] += 1
    assert outcomes["ran"] > 0
    assert outcomes["refused"] > 0
