"""The stages of a run, one after the other: each is taken from the run, from the cache, or trained.

Knows references, fingerprints and where weights are kept. The loop itself is in ``stage.py``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from polo.console import Console
from polo.model.reference import Reference, ScoreCache, cache_folder, cache_header
from polo.model.sharding import plain
from polo.model.weights import Weights, digest, restore, snapshot
from polo.plugin.load import Plugins
from polo.protocols import Policy, Tracker
from polo.recipe.model import Resolved
from polo.run.compose import Heads, cache_dir
from polo.run.prepare import Prepared
from polo.run.stagecache import stage_fingerprint
from polo.store.files import damage, whole_folder
from polo.store.runfolder import RunFolder
from polo.train.loop import Job, train
from polo.train.step import Objective


@dataclass(frozen=True)
class Stages:
    """Trains the stages of ``resolved`` into ``folder``; the policy ends with the last stage's weights."""

    resolved: Resolved
    plugins: Plugins
    accelerator: Accelerator
    console: Console
    folder: RunFolder
    ready: Prepared
    policy: Policy
    trackers: Sequence[Tracker]

    def train_all(self) -> None:
        """Trains stage after stage; each is taken from the run, from the cache, or trained."""
        reference = self.resolved.recipe.reference
        weights: dict[str, Weights] = {"base": snapshot(self.policy.module)}
        if reference not in ("base", "none", *self.resolved.recipe.stages):
            with plain(self.policy.module):
                self.policy.load(Path(reference))
            weights[reference] = snapshot(self.policy.module)
            restore(self.policy.module, weights["base"])
        previous, before = "base", ""
        for name in self.resolved.recipe.stages:
            heads = self.ready.heads[name]
            frozen = weights.get(reference) if heads.needs_reference else None
            parts = (heads.loss, heads.sampler, heads.beta)
            before = stage_fingerprint(self.resolved, self.ready.splits, self.policy, name, parts, before, frozen)
            if not self._taken(name, before):
                self._train(name, heads, frozen, previous == reference)
                self._keep(name, before)
            if reference == name:
                weights[name] = snapshot(self.policy.module)
            previous = name
        with plain(self.policy.module):
            if self.accelerator.is_main_process and not self.folder.final.exists():
                with whole_folder(self.folder.final) as place:
                    self.policy.save(place)

    def _taken(self, name: str, fingerprint: str) -> bool:
        """Loads a stage that this run or another one has trained already."""
        cached = cache_dir() / "stages" / fingerprint
        for place, whose in ((self.folder.stage(name), "this run"), (cached, "the cache")):
            if (place / "manifest.json").is_file():
                if fault := damage(place):
                    self.console.say(f"{name}: not taken from {whose}: {fault}")
                    continue
                with plain(self.policy.module):
                    self.policy.load(place / "policy")
                self.console.say(f"{name}: taken from {whose} (fingerprint {fingerprint})")
                if self.accelerator.is_main_process and place == cached:
                    self.folder.rewind(name, -1)
                    self.folder.log({"stage": name, "step": 0, "cached": fingerprint})
                    with whole_folder(self.folder.stage(name), manifest=False) as temporary:
                        shutil.copytree(place, temporary, dirs_exist_ok=True)
                self.accelerator.wait_for_everyone()
                return True
        return False

    def _keep(self, name: str, fingerprint: str) -> None:
        with plain(self.policy.module):
            if self.accelerator.is_main_process:
                self._write(name, cache_dir() / "stages" / fingerprint)
        self.accelerator.wait_for_everyone()

    def _write(self, name: str, cached: Path) -> None:
        for place in (self.folder.stage(name), cached):
            if place == cached and damage(cached) is None:
                continue  # a run beside this one was first; others may be reading it
            with whole_folder(place) as temporary:
                (temporary / "policy").mkdir()
                self.policy.save(temporary / "policy")

    def _train(self, name: str, heads: Heads, frozen: Weights | None, starts_at_reference: bool) -> None:
        stage = self.resolved.recipe.stages[name]
        precision = str(self.accelerator.mixed_precision)
        header = cache_header(self.policy, digest(frozen) if frozen is not None else "", precision)
        cache = ScoreCache(
            cache_folder(cache_dir(), header), header, self.console.say, rank=self.accelerator.process_index
        )
        autocast = torch.bfloat16 if precision == "bf16" else None
        reference = None if frozen is None else Reference(self.policy, frozen, cache, stage.tokens_per_pass, autocast)
        hook = self.plugins.manager.hook

        def log(line: Mapping[str, Any]) -> None:
            if not self.accelerator.is_main_process:
                return
            self.folder.log(line)
            for tracker in self.trackers:
                tracker.log(line)
            hook.polo_step_ended(stage=name, step=line["step"], metrics=line)

        def rewind(stage_name: str, step: int) -> None:
            if self.accelerator.is_main_process:
                self.folder.rewind(stage_name, step)

        train(
            Job(
                name=name,
                stage=stage,
                seed=self.resolved.recipe.seed,
                policy=self.policy,
                objective=Objective(loss=heads.loss, sampler=heads.sampler, beta=heads.beta, reference=reference),
                starts_at_reference=frozen is not None and starts_at_reference,
                rows=self.ready.train[name],
                validation=self.ready.validation[name],
                accelerator=self.accelerator,
                console=self.console,
                checkpoints=self.folder.checkpoints,
                log=log,
                rewind=rewind,
                resume_hint=f"go on with the same command and --resume {self.folder.path}",
            )
        )
