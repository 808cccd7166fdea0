"""From a resolved recipe to live objects. Knows contracts and what must fit what; knows no component by name."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any

from polo.console import Console
from polo.context import Choice, Context
from polo.data import Splits
from polo.errors import InputError, PoloError, Problem, RecipeError
from polo.evaluate.metrics import MODEL, START
from polo.plugin.catalogue import Catalogue
from polo.protocols import (
    Audit,
    Baseline,
    DataSource,
    Evaluator,
    Foresees,
    Labelled,
    Policy,
    Scorer,
    Tracker,
    Wanting,
)
from polo.recipe.fields import fields_of
from polo.recipe.model import Recipe, Resolved, Stage
from polo.run import own
from polo.run.built import built
from polo.run.conflicts import conflicts, of_evaluator, of_measuring, of_scorer
from polo.run.imports import Code
from polo.store.provenance import began_with
from polo.store.runfolder import base_beside
from polo.train.objective import Objective
from polo.words import listing, told_apart


def cache_dir() -> Path:
    """Where files that can be made again are kept: ``$POLO_CACHE``, else ``~/.cache/polo``."""
    return Path(os.environ.get("POLO_CACHE") or Path.home() / ".cache" / "polo")


class Composer:
    """Builds components, each with the context that its kind may see.

    Args:
        resolved: the recipe and where its values come from (for error messages).
        catalogue: what is installed.
        console: for messages and progress.
        device: torch device name.
        run: folder of a run that is there already; the base that it keeps is taken, if it is still the same.
        shard: weights will be spread over processes.
    """

    def __init__(
        self,
        resolved: Resolved,
        catalogue: Catalogue,
        console: Console,
        device: str = "cpu",
        run: Path | None = None,
        *,
        shard: bool = False,
    ) -> None:
        kept = base_beside(run)
        self._resolved, self._catalogue, self._detail = resolved, catalogue, console.detail
        self._context = Context(
            seed=resolved.recipe.seed,
            cache=cache_dir(),
            build=self.build,
            device=device,
            shard=shard,
            kept=kept,
            kept_hash="" if run is None or kept is None else began_with(run),
            say=console.say,
            track=console.track,
        )

    @property
    def recipe(self) -> Recipe:
        return self._resolved.recipe

    def build(self, choice: Choice) -> Any:
        """A live object of any kind."""
        make: Callable[[Any, Context], Any] = self._target(choice)
        with built(self._catalogue, choice, self._detail):
            return make(choice.options, self._context)

    def _target(self, choice: Choice) -> Any:
        return self._catalogue.find(choice.kind, choice.qualified or choice.name).load_build()

    def code(self, choice: Choice, code: Code) -> dict[str, dict[str, str]]:
        """Hashes of the code of a component and of all inside it: ``kind 'name' (distribution)`` -> module -> hash."""
        entry = self._catalogue.find(choice.kind, choice.qualified or choice.name)
        component, record = entry.component, entry.record
        found: dict[str, str] = {}
        for target in (component.build, component.options):
            if target is not None:
                module = target.partition(":")[0]
                local = record.local and module in ("", record.entry)
                found |= code.of(record.module if local or not module else module, "" if record.local else record.dist)
        # what is built may be a name that its module has from elsewhere
        found |= code.of(getattr(entry.load_build(), "__module__", None) or record.module, record.dist)
        if record.local:  # its module is called after its content
            found = {name.replace(record.module, record.entry): value for name, value in found.items()}
        named = {f"{choice.kind} '{choice.name}' ({entry.dist})": found}
        for inner in _inside(choice.options):
            named |= self.code(inner, code)
        return named

    def data(self) -> Splits:
        """Loads the data; everything that is built afterwards sees it."""
        source: DataSource = self.build(self.recipe.data)
        splits = source.load()
        for name, rows in (("training", splits.train), ("test", splits.test)):
            if not len(rows):
                raise InputError(f"no {name} rows in '{splits.name}'", where=self.where("data"), fix="look at its path")
        self._context = replace(self._context, splits=splits)
        return splits

    def objectives(self) -> Mapping[str, Objective]:
        """The objective of every stage, without a reference; components are checked against each other and the policy.

        Raises:
            RecipeError: a combination that ``needs`` forbids, naming both sides.
        """
        made = {
            name: Objective(
                loss=self.build(stage.loss),
                sampler=None if stage.sampler is None else self.build(stage.sampler),
                beta=None if stage.beta is None else self.build(stage.beta),
            )
            for name, stage in self.recipe.stages.items()
        }
        problems = [p for name in made for p in self._conflicts(name, self.recipe.stages[name], made[name])]
        if splits := self._context.splits:
            problems += own.against(splits, self.recipe, self._target(self.recipe.policy), self.where)
        if problems:
            raise RecipeError(problems)
        return made

    def _conflicts(self, name: str, stage: Stage, objective: Objective) -> list[Problem]:
        return conflicts(
            name,
            stage,
            objective,
            None if stage.average is None else self.build(stage.average),
            recipe=self.recipe,
            policy=self._target(self.recipe.policy),
            splits=self._context.splits,
            where=self.where,
            drawing=list(self._without_options("sampler")),
            saying=self._catalogue.tagged("sampler", "log_q"),
            policies=self._policies,
        )

    def _policies(self, contract: type[Any]) -> str:
        """The installed policies that keep a contract, in words."""
        able = []
        for name in self._catalogue.names("policy"):
            with contextlib.suppress(PoloError):  # one whose packages are not there serves nobody
                if isinstance(self._catalogue.find("policy", name).load_build(), contract):
                    able.append(name)
        return f"a policy that can serve it: {listing(able)}" if able else "a policy that can serve it"

    def remedies(self, tag: str) -> list[str]:
        """What objectives may be made of that declares a tag, such as ``sampler: NAME``."""
        kinds = ("sampler", "beta", "loss")
        return [f"{kind}: {name}" for kind in kinds for name in self._catalogue.tagged(kind, tag)]

    def policy(self) -> Policy:
        policy: Policy = self.build(self.recipe.policy)
        return policy

    def foreseen(self) -> Sequence[str]:
        """What the policy's class says that building it will need; nothing if it says nothing."""
        policy_class = self._target(self.recipe.policy)
        if not isinstance(policy_class, Foresees):
            return ()
        return policy_class.foresee(self.recipe.policy.options, self._context)

    def evaluators(self) -> list[Evaluator]:
        """The recipe's evaluators.

        Raises:
            RecipeError: one needs generated text, and the policy makes none; or one needs lists or a catalogue, and
                there are none.
        """
        made: list[Evaluator] = []
        problems = []
        for index, choice in enumerate(self.recipe.evaluate.evaluators):
            made.append(self.build(choice))
            where, policy = self.where("evaluate", "evaluators", index), self._target(self.recipe.policy)
            problems += of_evaluator(choice.name, made[-1], where, self.recipe, policy, self._context.splits)
        if problems:
            raise RecipeError(problems)
        return made

    def baselines(self) -> dict[str, Baseline]:
        """Baselines by name; ``all`` are those that go with the data (by ``applies`` and ``needs``, if they have them).

        Raises:
            RecipeError: one that is asked for by name needs a catalogue, and there is none.
        """
        chosen = self.recipe.evaluate.baselines
        if not isinstance(chosen, str):
            built = [(choice.name, self.build(choice)) for choice in chosen]
            problems = []
            for at, (name, one) in enumerate(built):
                where, what = self.where("evaluate", "baselines", at), f"baseline '{name}'"
                needs = one.needs if isinstance(one, Wanting) else ()
                problems += own.missing(self._context.splits, needs, where, what, "leave it out")
            if problems:
                raise RecipeError(problems)
            names = (one.label if isinstance(one, Labelled) else name for name, one in built)
            apart = told_apart(names, taken=(MODEL, START, *self.recipe.stages))
            return dict(zip(apart, (one for _, one in built), strict=True))
        return self._every("baseline")

    def audits(self) -> dict[str, Audit]:
        """Every audit that is installed, by name."""
        return self._every("audit")

    def _every(self, kind: str) -> dict[str, Any]:
        """All components of a kind that need no options, by name; without those that do not go with the data."""
        built = {}
        for name, options in self._without_options(kind).items():
            component = self.build(Choice(kind, name, None if options is None else options(), name))
            if own.goes_with(component, self._context.splits):
                built[name] = component
        return built

    def _without_options(self, kind: str) -> dict[str, type[Any] | None]:
        """The components of a kind that need no options, by name, and the options that they may have."""
        options = {name: self._catalogue.find(kind, name).load_options() for name in self._catalogue.names(kind)}
        return {
            name: found
            for name, found in options.items()
            if found is None or not any(field.required for field in fields_of(found))
        }

    def scorer(self) -> Scorer:
        """The recipe's scorer.

        Raises:
            RecipeError: it asks too much of the policy, or takes lists only where the whole catalogue is ranked.
        """
        choice = self.recipe.evaluate.scorer
        # what builds it is asked: a scorer that cannot be used here need not be installed
        scored = self._target(choice), self._target(self.recipe.policy)
        if problems := of_scorer(choice.name, *scored, self.where("evaluate", "scorer"), self.recipe, self._policies):
            raise RecipeError(problems)
        scorer: Scorer = self.build(choice)
        return scorer

    def measurable(self, evaluators: Sequence[Evaluator], scorer: Scorer) -> None:
        """Raises RecipeError if an evaluator looks at what the scorer's scores do not say."""
        chosen, problems = self.recipe.evaluate, list[Problem]()
        for index, (choice, one) in enumerate(zip(chosen.evaluators, evaluators, strict=True)):
            where = self.where("evaluate", "evaluators", index)
            problems += of_measuring(choice.name, one, where, chosen.scorer.name, scorer, self.recipe)
        if problems:
            raise RecipeError(problems)

    def trackers(self) -> list[tuple[str, Tracker]]:
        """Name and tracker, as the recipe lists them."""
        return [(choice.name, self.build(choice)) for choice in self.recipe.trackers]

    def where(self, *path: str | int) -> str:
        """The place of a value in the recipe, or of the nearest thing above it."""
        for end in range(len(path), 0, -1):
            if origin := self._resolved.origins.get(path[:end]):
                return origin
            below = [o for p, o in self._resolved.origins.items() if p[:end] == path[:end] and o != "default"]
            if below:
                return below[0]
        return ".".join(map(str, path))


def _inside(value: Any) -> Iterator[Choice]:
    """Components among options, however deep they stand."""
    if isinstance(value, Choice):
        yield value
    elif is_dataclass(value):
        for field in fields(value):
            yield from _inside(getattr(value, field.name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _inside(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _inside(item)
