"""A whole run: data, policy, stages, evaluation. Start reading here.

    recipe -> compose -> stages, each from the newest checkpoint or from the stage cache -> evaluate -> results.json

Nothing is written to the run folder before everything that can be refused has been refused.
"""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.utils import DistributedDataParallelKwargs, broadcast_object_list

from polo.candidates import attach, protocol, protocol_hash
from polo.data import Known, Rows, Splits
from polo.engine import audit, evaluate, plan, provenance, slices
from polo.engine.compose import Composer, Heads, cache_dir
from polo.engine.console import Console
from polo.engine.examples import examples
from polo.engine.files import damage, whole_folder, write_bytes, write_json
from polo.engine.launch import peer_lost
from polo.engine.parts import Parts
from polo.engine.reference import Reference, ScoreCache, cache_folder, cache_header
from polo.engine.runfolder import RunFolder
from polo.engine.stage import Job, train
from polo.engine.stagecache import stage_fingerprint
from polo.engine.step import Objective
from polo.engine.weights import Weights, digest, restore, snapshot
from polo.errors import InputError, PoloError
from polo.plugins import Plugins
from polo.protocols import Policy, Tracker
from polo.randomness import seed_of
from polo.recipe import to_yaml
from polo.recipe.model import Recipe, Resolved


@dataclass(frozen=True)
class Prepared:
    """All that is known before the first step: what a dry run shows."""

    composer: Composer
    splits: Splits
    heads: Mapping[str, Heads]
    train: Mapping[str, Rows]
    validation: Mapping[str, Rows]
    test: Rows


def accelerator_of(recipe: Recipe) -> Accelerator:
    """Device and precision as the recipe says; raises InputError for a GPU that is not there."""
    gpu = torch.cuda.is_available()
    if recipe.device == "cuda" and not gpu:
        raise InputError(
            "the recipe asks for a GPU, torch sees none",
            where="device",
            fix="device=cpu, or install a CUDA build of torch",
        )
    cpu = recipe.device == "cpu" or not gpu
    precision = "no" if recipe.precision == "fp32" or (recipe.precision == "auto" and cpu) else "bf16"
    # buffers (rotary tables) are constants; sending them around would tie the number of passes of the ranks together
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False)
    return Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[ddp])


def named(resolved: Resolved) -> Resolved:
    """The recipe under the name that its run gets: the profile's name is part of it."""
    if resolved.profile is None:
        return resolved
    name = f"{resolved.recipe.name}-{resolved.profile}"
    return replace(resolved, recipe=replace(resolved.recipe, name=name), tree={**resolved.tree, "name": name})


class Run:
    """One run of one recipe.

    Args:
        resolved: the recipe.
        plugins: loaded plugins, for their catalogue, events and provenance.
        resume: a run folder to go on in; ``None`` starts a new one.
    """

    def __init__(self, resolved: Resolved, plugins: Plugins, resume: RunFolder | None = None) -> None:
        self.resolved, self.recipe, self._plugins = resolved, resolved.recipe, plugins
        self._accelerator = accelerator_of(self.recipe)
        self.console = Console(silent=not self._accelerator.is_main_process)
        self._resumed = resume
        if resume is not None:
            self._same_recipe(resume)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return bool(self._accelerator.is_main_process)

    # -- before the first step ----------------------------------------------------------------------------------

    def prepare(self) -> Prepared:
        """Data, heads and rows; raises everything that can be known without the model."""
        device = str(self._accelerator.device)
        composer = Composer(self.resolved, self._plugins.catalogue, self.console, device)
        with self._main_first():
            splits = composer.data()
        heads = composer.heads()
        composer.evaluators()
        composer.scorer()
        train = {
            name: _subsample(splits.train, stage.rows, self.recipe.seed) for name, stage in self.recipe.stages.items()
        }
        validation = {
            name: self._listed(
                splits, _subsample(splits.valid, stage.validate.rows, self.recipe.seed), splits.known_all
            )
            for name, stage in self.recipe.stages.items()
        }
        chosen = splits.test if self.recipe.evaluate.split == "test" else splits.valid
        test = self._listed(splits, _subsample(chosen, self.recipe.evaluate.rows, self.recipe.seed), splits.known_all)
        return Prepared(composer, splits, heads, train, validation, test)

    def _listed(self, splits: Splits, rows: Rows, known: Known) -> Rows:
        c = self.recipe.candidates
        return attach(splits, rows, n=c.n, negatives=c.negatives, seed=c.seed, known=known)

    def dry_run(self) -> None:
        """Shows the plan and stops."""
        ready = self.prepare()
        for line in plan.lines(self.recipe, ready.splits, ready.train, ready.test, None):
            self.console.say(line)

    def _policy(self, ready: Prepared) -> tuple[Policy, Prepared]:
        """The policy, wrapped for the processes at hand, and the rows that fit it."""
        torch.manual_seed(seed_of(self.recipe.seed, "policy"))
        with self._main_first():
            policy = ready.composer.policy()
        if self.recipe.init_from is not None:
            policy.load(Path(self.recipe.init_from))
        train = {name: self._for_training(policy, ready.splits, rows) for name, rows in ready.train.items()}
        validation = {name: self._fitting(policy, rows, "validation") for name, rows in ready.validation.items()}
        test = self._fitting(policy, ready.test, self.recipe.evaluate.split)
        policy.module = self._accelerator.prepare_model(policy.module)
        return policy, Prepared(ready.composer, ready.splits, ready.heads, train, validation, test)

    def _for_training(self, policy: Policy, splits: Splits, rows: Rows) -> Rows:
        if policy.pool == "candidates":
            rows = self._listed(splits, rows, splits.known_train)
        else:
            rows = rows.with_candidates(None)
        return self._fitting(policy, rows, "training")

    def _fitting(self, policy: Policy, rows: Rows, what: str) -> Rows:
        """Rows whose prompt and titles fit; the others are counted and named, never cut."""
        fits = getattr(policy, "fits", None)
        if fits is None or not len(rows):
            return rows
        good = fits(rows)
        if not good.any():
            raise InputError(
                f"none of the {len(rows):,} {what} rows fits the policy's token limit",
                where="policy.max_tokens",
                fix="raise policy.max_tokens or shorten data.history",
            )
        if not good.all():
            bad = rows.id[~good]
            self.console.say(
                f"{len(bad):,} of {len(rows):,} {what} rows do not fit the policy's token limit and are left out "
                f"(rows {', '.join(str(i) for i in bad[:5])}{', ...' if len(bad) > 5 else ''})"
            )
        return rows[np.flatnonzero(good)]

    # -- the run ------------------------------------------------------------------------------------------------

    def execute(self) -> tuple[RunFolder, dict[str, Any]]:
        """Trains and evaluates; returns the run's folder and its results."""
        ready = self.prepare()
        policy, ready = self._policy(ready)
        folder = self._folder()
        for line in plan.lines(self.recipe, ready.splits, ready.train, ready.test, policy):
            self.console.say(line)
        hook = self._plugins.manager.hook
        error: BaseException | None = None
        try:
            if self.is_main:
                self._describe(folder, ready)
                self._audit(folder, ready, policy)
                hook.polo_run_started(run=folder.path, recipe=self.resolved.tree)
            trackers = ready.composer.trackers() if self.is_main else []
            try:
                self._stages(folder, ready, policy, trackers)
            finally:
                for tracker in trackers:
                    tracker.close()
            results = self.evaluate(folder, ready, policy)
            if self.is_main:
                hook.polo_evaluated(run=folder.path, results=results)
        except BaseException as caught:
            error = peer_lost(caught) if self._accelerator.num_processes > 1 else caught
            if error is not caught:
                raise error from caught
            raise
        finally:
            if self.is_main:
                hook.polo_run_ended(run=folder.path, error=error)
            folder.release()
        return folder, results

    def _folder(self) -> RunFolder:
        if self._resumed is not None:
            folder = self._resumed
        else:
            place = [str(RunFolder.create(Path(self.recipe.out), self.recipe.name).path) if self.is_main else ""]
            if self._accelerator.num_processes > 1:
                broadcast_object_list(place)
            folder = RunFolder(Path(place[0]))
        if self.is_main:
            folder.claim()
        return folder

    def _describe(self, folder: RunFolder, ready: Prepared) -> None:
        """Everything about the run that is known before it starts."""
        if self._resumed is not None:
            return
        write_bytes(folder.path / "recipe.yaml", self.resolved.text.encode())
        facts = {
            **provenance.gather(self._plugins),
            "recipe": self.resolved.tree,
            "profile": self.resolved.profile,
            "overrides": self.resolved.overrides,
            "data": {"name": ready.splits.name, "form": ready.splits.form, "fingerprint": ready.splits.fingerprint,
                     "licence": ready.splits.licence, "notes": dict(ready.splits.notes)},
            "protocol": self._protocol(ready),
            "seed": self.recipe.seed,
        }  # fmt: skip
        write_json(folder.path / "provenance.json", facts)
        write_bytes(folder.path / "resolved.yaml", to_yaml(self.resolved).encode())  # last: from here on it can go on

    def _audit(self, folder: RunFolder, ready: Prepared, policy: Policy) -> None:
        """Whether the data and the protocol can be trusted, before anything is trained on them."""
        recipe, splits = self.recipe, ready.splits
        tokens = policy.tokens(torch.arange(len(splits.items))[None])[0].numpy() if policy.unit == "logprob" else None
        audit.at_start(
            folder.path,
            ready.composer.audits(),
            lambda: audit.audited(splits, recipe.candidates, split=recipe.evaluate.split, title_tokens=tokens),
            self.console.say,
        )

    def _same_recipe(self, folder: RunFolder) -> None:
        """Going on needs the very recipe that the run began with."""
        try:
            began = json.loads((folder.path / "provenance.json").read_text("utf-8"))["recipe"]
        except (OSError, ValueError, KeyError) as error:
            raise PoloError(f"provenance.json cannot be read: {error}", where=str(folder.path)) from error
        now = json.loads(json.dumps(self.resolved.tree))
        differing = sorted(path for path in _differing(began, now) if path != "out")
        if differing:
            raise InputError(
                f"the recipe is not the one that this run began with; it differs in {', '.join(differing[:5])}",
                where=str(folder.path),
                fix="start a new run, or give the same recipe and overrides; `init_from:` starts anew from weights",
            )

    def _stages(self, folder: RunFolder, ready: Prepared, policy: Policy, trackers: Sequence[Tracker]) -> None:
        """Trains stage after stage; each is taken from the run, from the cache, or trained."""
        reference = self.recipe.reference
        weights: dict[str, Weights] = {"base": snapshot(policy.module)}
        if reference not in ("base", "none", *self.recipe.stages):
            policy.load(Path(reference))
            weights[reference] = snapshot(policy.module)
            restore(policy.module, weights["base"])
        previous, before = "base", ""
        for name in self.recipe.stages:
            heads = ready.heads[name]
            frozen = weights.get(reference) if heads.needs_reference else None
            parts = (heads.loss, heads.sampler, heads.beta)
            before = stage_fingerprint(self.resolved, ready.splits, policy, name, parts, before, frozen)
            if not self._taken(folder, policy, name, before):
                self._train(folder, ready, policy, trackers, name, heads, frozen, previous == reference)
                self._keep(folder, policy, name, before)
            if reference == name:
                weights[name] = snapshot(policy.module)
            previous = name
        if self.is_main and not folder.final.exists():
            with whole_folder(folder.final) as place:
                policy.save(place)

    def _taken(self, folder: RunFolder, policy: Policy, name: str, fingerprint: str) -> bool:
        """Loads a stage that this run or another one has trained already."""
        cached = cache_dir() / "stages" / fingerprint
        for place, whose in ((folder.stage(name), "this run"), (cached, "the cache")):
            if (place / "manifest.json").is_file():
                if fault := damage(place):
                    self.console.say(f"{name}: not taken from {whose}: {fault}")
                    continue
                policy.load(place / "policy")
                self.console.say(f"{name}: taken from {whose} (fingerprint {fingerprint})")
                if self.is_main and place == cached:
                    folder.rewind(name, -1)
                    folder.log({"stage": name, "step": 0, "cached": fingerprint})
                    with whole_folder(folder.stage(name), manifest=False) as temporary:
                        shutil.copytree(place, temporary, dirs_exist_ok=True)
                self._accelerator.wait_for_everyone()
                return True
        return False

    def _keep(self, folder: RunFolder, policy: Policy, name: str, fingerprint: str) -> None:
        if self.is_main:
            cached = cache_dir() / "stages" / fingerprint
            for place in (folder.stage(name), cached):
                if place == cached and damage(cached) is None:
                    continue  # a run beside this one was first; others may be reading it
                with whole_folder(place) as temporary:
                    (temporary / "policy").mkdir()
                    policy.save(temporary / "policy")
        self._accelerator.wait_for_everyone()

    def _train(
        self, folder: RunFolder, ready: Prepared, policy: Policy, trackers: Sequence[Tracker], name: str, heads: Heads,
        frozen: Weights | None, starts_at_reference: bool,
    ) -> None:  # fmt: skip
        stage = self.recipe.stages[name]
        header = cache_header(
            policy, digest(frozen) if frozen is not None else "", str(self._accelerator.mixed_precision)
        )
        cache = ScoreCache(
            cache_folder(cache_dir(), header), header, self.console.say, rank=self._accelerator.process_index
        )
        reference = None if frozen is None else Reference(policy, frozen, cache, stage.tokens_per_pass)
        hook = self._plugins.manager.hook

        def log(line: Mapping[str, Any]) -> None:
            if not self.is_main:
                return
            folder.log(line)
            for tracker in trackers:
                tracker.log(line)
            hook.polo_step_ended(stage=name, step=line["step"], metrics=line)

        def rewind(stage_name: str, step: int) -> None:
            if self.is_main:
                folder.rewind(stage_name, step)

        train(
            Job(
                name=name,
                stage=stage,
                seed=self.recipe.seed,
                policy=policy,
                objective=Objective(loss=heads.loss, sampler=heads.sampler, beta=heads.beta, reference=reference),
                starts_at_reference=frozen is not None and starts_at_reference,
                rows=ready.train[name],
                validation=ready.validation[name],
                accelerator=self._accelerator,
                console=self.console,
                checkpoints=folder.checkpoints,
                log=log,
                rewind=rewind,
                resume_hint=f"go on with the same command and --resume {folder.path}",
            )
        )

    # -- evaluation ---------------------------------------------------------------------------------------------

    def _protocol(self, ready: Prepared) -> dict[str, Any]:
        c = self.recipe.candidates
        subsampled = self.recipe.evaluate.rows is not None
        found = protocol(
            ready.splits, ready.test, split=self.recipe.evaluate.split, negatives=c.negatives, seed=c.seed,
            subsample_seed=self.recipe.seed if subsampled else None,
        )  # fmt: skip
        return {**found, "hash": protocol_hash(found)}

    def evaluate(self, folder: RunFolder, ready: Prepared, policy: Policy) -> dict[str, Any]:
        """Scores every system on the same lists and writes ``eval/`` and ``results.json``."""
        rows, composer = ready.test, ready.composer
        if rows.candidates is None:
            raise PoloError("rows without candidate lists cannot be evaluated")
        systems = []
        for name, baseline in composer.baselines().items():
            baseline.fit(ready.splits)
            systems.append(evaluate.System(name, baseline.score(rows, rows.candidates)))
        evaluators, scorer, names = composer.evaluators(), composer.scorer(), list(self.recipe.stages)
        protocol_ = self._protocol(ready)
        place, summary = folder.evaluation_under(protocol_["hash"])
        facts = self.resolved.tree["evaluate"]["scorer"]
        parts = Parts(place / "parts", scorer, facts, self._accelerator, self.console)
        generating = any("generation" in evaluator.needs for evaluator in evaluators)
        by_stage: dict[str, Any] = {}
        for name in names:
            policy.load(folder.stage(name) / "policy")
            by_stage[name], tokens = parts.scores(name, policy, rows)
            generated = parts.completions(name, policy, rows) if generating else None
            reference = by_stage.get(self.recipe.reference) if name != self.recipe.reference else None
            called = evaluate.MODEL if name == names[-1] else name
            systems.append(evaluate.System(called, by_stage[name], tokens, reference, generated))
        values = {system.name: evaluate.per_row(rows, system, evaluators) for system in systems}
        results = {
            "protocol": protocol_,
            "rows": len(rows),
            "users": len(np.unique(rows.user)),
            "baselines": "all" if self.recipe.evaluate.baselines == "all" else [s.name for s in systems[: -len(names)]],
            **evaluate.summarise(rows, values),
            "whole": {system.name: evaluate.whole(rows, system, evaluators) for system in systems},
            "slices": slices.sliced(rows, ready.splits, systems[-len(names) :], values),
        }
        if self.is_main:
            for system in systems:
                evaluate.write_scores(place, rows, system)
            evaluate.write_per_row(place, rows, values)
            write_json(place / "examples.json", examples(rows, ready.splits, systems[-1]))
            write_json(summary, results)
            parts.remove()
        self._accelerator.wait_for_everyone()
        return results

    def evaluate_again(self, folder: RunFolder) -> dict[str, Any]:
        """``polo eval``: the systems of a finished run under this (perhaps changed) evaluation."""
        policy, ready = self._policy(self.prepare())
        return self.evaluate(folder, ready, policy)

    @contextlib.contextmanager
    def _main_first(self) -> Iterator[None]:
        """The first process builds (and fills caches), the others follow and find them."""
        with self._accelerator.main_process_first():
            yield


def _subsample(rows: Rows, n: int | None, seed: int) -> Rows:
    """``n`` rows drawn by the seed, in their order; all if ``n`` is None or there are no more."""
    if n is None or n >= len(rows):
        return rows
    chosen = np.random.default_rng(seed_of(seed, "rows")).choice(len(rows), size=n, replace=False)
    return rows[np.sort(chosen)]


def _differing(a: Any, b: Any, path: str = "") -> list[str]:
    """Dotted paths at which two trees differ."""
    if isinstance(a, dict) and isinstance(b, dict):
        keys = [k for k in {**a, **b} if k in a or k in b]
        return [d for k in keys for d in _differing(a.get(k), b.get(k), f"{path}.{k}" if path else str(k))]
    return [] if a == b else [path]
