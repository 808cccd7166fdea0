"""The stages of a run, one after the other: each is taken from the run, from the cache, or trained.

Knows references, fingerprints and where weights are kept. The loop itself is in ``train/loop.py``.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from accelerate import Accelerator

from polo.console import Console
from polo.model.frozen import frozen
from polo.model.reference import Reference, ScoreCache, cache_folder, cache_header
from polo.model.sharding import unsharded
from polo.model.weights import Weights, digest, restore, trainable
from polo.protocols import Policy
from polo.recipe.model import Resolved
from polo.run.compose import cache_dir
from polo.run.fingerprint import Print, changed, keep_print, kept_prints, refuse_changed, scoring_code, stage_prints
from polo.run.prepare import Prepared
from polo.run.watching import Watch
from polo.store.cost import COST, Ledger, read_stage_cost
from polo.store.files import ABANDONED, damage, sweep, whole_folder, write_bytes, write_json
from polo.store.provenance import base_of
from polo.store.runfolder import LOG, RunFolder, read_log
from polo.train.checkpoint import of_stage
from polo.train.loop import Job, train
from polo.train.objective import Objective


@dataclass(frozen=True)
class Stages:
    """Trains the stages of ``resolved`` into ``folder``; the policy ends with the last stage's weights."""

    resolved: Resolved
    accelerator: Accelerator
    console: Console
    folder: RunFolder
    ready: Prepared
    policy: Policy
    watch: Watch

    def prints(self) -> dict[str, Print]:
        """What every stage is made from; nothing is trained or written for it."""
        weights = {name: digest(value) for name, value in self._given()}
        data = self.ready.splits.fingerprint
        return stage_prints(self.resolved, self.ready.composer, data, self.policy, weights, __name__)

    def compare(self, folder: RunFolder, prints: Mapping[str, Print]) -> None:
        """Refuses to go on in a run whose stages were made from something else."""
        refuse_changed(folder.path, prints, {name: self._begun(folder, name) for name in prints})

    def forget_changed(self, prints: Mapping[str, Print]) -> list[str]:
        """Removes stages that were made from something else, so that they are trained again; their names."""
        kept = kept_prints(self.folder.path)
        old = [n for n in prints if self._begun(self.folder, n) and changed(kept.get(n), prints[n])]
        if self.accelerator.is_main_process:
            for name in old:
                self.console.say(
                    f"{name}: made again after a change of: {'; '.join(changed(kept.get(name), prints[name]))}"
                )
                for place in (self.folder.stage(name), *of_stage(self.folder.checkpoints, name)):
                    shutil.rmtree(place, ignore_errors=True)
            if old:
                shutil.rmtree(self.folder.final, ignore_errors=True)
        self.accelerator.wait_for_everyone()
        return old

    def _begun(self, folder: RunFolder, name: str) -> bool:
        return folder.stage(name).is_dir() or bool(of_stage(folder.checkpoints, name))

    def _given(self) -> Iterator[tuple[str, Weights]]:
        """The weights that are there before the first stage: the base, and the reference if it is a folder.

        They are the policy's own, while they are looked at.
        """
        reference, module = self.resolved.recipe.reference, self.policy.module
        yield "base", trainable(module)
        if reference not in ("base", "none", *self.resolved.recipe.stages):
            base = self._frozen()
            with unsharded(module):
                self.policy.load(Path(reference))
            yield reference, trainable(module)
            restore(module, base)

    def _frozen(self) -> Weights:
        return frozen(self.policy.module, cache_dir() / "frozen")

    def train_all(self, prints: Mapping[str, Print], ledger: Ledger) -> None:
        """Trains stage after stage; each is taken from the run, from the cache, or trained. Costs go to the ledger."""
        recipe, stages = self.resolved.recipe, self.resolved.recipe.stages
        asked = any(objective.needs("reference") for objective in self.ready.objectives.values())
        kept = {stage.start for stage in stages.values()} | ({recipe.reference} if asked else set())
        weights = {name: self._frozen() for name, _ in self._given() if name in kept}
        previous = "base"
        for name, stage in stages.items():
            objective = self.ready.objectives[name]
            frozen = weights.get(recipe.reference) if objective.needs("reference") else None
            if self.accelerator.is_main_process:
                keep_print(self.folder.path, name, prints[name])
            if self._taken(name, prints[name].fingerprint):
                ledger.taken(name, read_stage_cost(self.folder.stage(name)))
            else:
                if stage.start is not None:
                    restore(self.policy.module, weights[stage.start])
                    previous = stage.start
                with ledger.part(name, fingerprint=prints[name].fingerprint):
                    self._train(name, objective, frozen, previous == recipe.reference, ledger)
                self._keep(name, prints[name].fingerprint, ledger)
            if name in kept:
                weights[name] = self._frozen()
            previous = name
        with unsharded(self.policy.module):
            if self.accelerator.is_main_process and damage(self.folder.final) is not None:
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
                with unsharded(self.policy.module):
                    self.policy.load(place / "policy")
                self.console.say(f"{name}: taken from {whose} (fingerprint {fingerprint})")
                if self.accelerator.is_main_process and place == cached:
                    self.folder.rewind(name, -1)
                    for line in read_log(place / LOG):
                        self.folder.log(line)
                        self.watch.line(name, line)
                    self.folder.log({"stage": name, "step": 0, "cached": fingerprint})
                    with whole_folder(self.folder.stage(name), manifest=False) as temporary:
                        shutil.copytree(place, temporary, dirs_exist_ok=True)
                self.accelerator.wait_for_everyone()
                return True
        self.console.detail(f"{name}: neither this run nor {cached} has it, so it is trained")
        return False

    def _keep(self, name: str, fingerprint: str, ledger: Ledger) -> None:
        with unsharded(self.policy.module):
            if self.accelerator.is_main_process:
                self._write(name, cache_dir() / "stages" / fingerprint, ledger)
                self.folder.publish()
        self.accelerator.wait_for_everyone()

    def _write(self, name: str, cached: Path, ledger: Ledger) -> None:
        with whole_folder(self.folder.stage(name)) as temporary:
            (temporary / "policy").mkdir()
            self.policy.save(temporary / "policy")
            write_json(temporary / COST, ledger.stage(name))
            lines = [line for line in self.folder.metrics() if line["stage"] == name]
            write_bytes(temporary / LOG, "".join(json.dumps(line) + "\n" for line in lines).encode())
        if damage(cached) is None:
            return  # a run beside this one was first; others may be reading it
        sweep(cached.parent, ABANDONED)
        with whole_folder(cached, manifest=False) as temporary:  # saved for a run, it names the base of any run
            shutil.copytree(self.folder.stage(name), temporary, dirs_exist_ok=True)

    def _train(
        self, name: str, objective: Objective, frozen: Weights | None, starts_at_reference: bool, ledger: Ledger
    ) -> None:
        stage = self.resolved.recipe.stages[name]
        precision = str(self.accelerator.mixed_precision)
        code = scoring_code(self.ready.composer, self.resolved.recipe.policy, Reference.__module__)
        header = cache_header(
            self.policy, digest(frozen) if frozen is not None else "", precision, base_of(self.policy), code
        )
        cache = ScoreCache(
            cache_folder(cache_dir(), header), header, self.console.say, rank=self.accelerator.process_index
        )
        autocast = torch.bfloat16 if precision == "bf16" else None
        reference = None if frozen is None else Reference(self.policy, frozen, cache, stage.tokens_per_pass, autocast)

        def log(line: Mapping[str, Any]) -> None:
            if not self.accelerator.is_main_process:
                return
            self.folder.log(line)
            if "valid/hit_ratio@1" in line:
                ledger.tick()
            self.watch.line(name, line)

        def rewind(stage_name: str, step: int) -> None:
            if self.accelerator.is_main_process:
                self.folder.rewind(stage_name, step)

        train(
            Job(
                name=name,
                stage=stage,
                seed=self.resolved.recipe.seed,
                policy=self.policy,
                objective=replace(objective, reference=reference),
                optimiser=self.ready.composer.build(stage.optimiser),
                average=None if stage.average is None else self.ready.composer.build(stage.average),
                starts_at_reference=frozen is not None and starts_at_reference,
                rows=self.ready.train[name],
                validation=self.ready.validation[name],
                metric=self.ready.metrics[name],
                accelerator=self.accelerator,
                console=self.console,
                checkpoints=self.folder.checkpoints,
                log=log,
                rewind=rewind,
                saved=self.folder.publish,
                remedies=self.ready.composer.remedies("collapse"),
                resume_hint=f"go on with the same command and --resume {self.folder.called}",
            )
        )
        if reference is not None:
            self.console.detail(f"{name}: {reference.asked} ({cache_folder(cache_dir(), header)})")
