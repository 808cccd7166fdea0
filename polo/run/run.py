"""A whole run: data, policy, stages, evaluation. Start reading here.

    recipe -> compose -> stages, each from the newest checkpoint or from the stage cache -> evaluate -> results.json

Nothing is written to the run folder before everything that can be refused has been refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch
from accelerate.utils import broadcast_object_list

from polo.console import Console
from polo.errors import InputError, PoloError
from polo.model.sharding import can_shard, spread, unsharded
from polo.model.weights import Weights, snapshot
from polo.plugin.load import Plugins
from polo.protocols import Based, FillsParts, Policy, Together
from polo.randomness import seed_of
from polo.recipe import to_yaml
from polo.recipe.model import Resolved
from polo.run import plan
from polo.run.assess import assess, protocol_of
from polo.run.auditing import at_start
from polo.run.compose import Composer
from polo.run.device import accelerator_of
from polo.run.fingerprint import Print
from polo.run.place import Place, new_place
from polo.run.prepare import Prepared, for_policy, prepare
from polo.run.processes import peer_lost
from polo.run.resumed import same_recipe
from polo.run.stages import Stages
from polo.run.watching import Watch
from polo.store import provenance
from polo.store.cost import Ledger
from polo.store.files import cannot_write, write_bytes, write_json
from polo.store.mirror import Mirror, check_store, is_remote
from polo.store.provenance import base_of, facts_of, same_base
from polo.store.runfolder import RunFolder, stamped
from polo.store.shapes import Provenance, read


class Run:
    """One run of one recipe.

    Args:
        resolved: the recipe.
        plugins: loaded plugins, for their catalogue, events and provenance.
        resume: a run folder to go on in; ``None`` starts a new one.
        place: the user's name of where to go on or begin; ``None`` for a folder of its own among those of ``out``.
        shard: each process keeps a part of the weights only. Memory, not mathematics.
        retrain: train stages of ``resume`` again that were made from other data, code or base than today's.
        quiet: say nothing but warnings.
        verbose: say what components are built, what caches had, what each part took, and where faults come from.

    Raises:
        InputError: ``resume`` began with another recipe, or there is no second process to ``shard`` with.
    """

    def __init__(
        self,
        resolved: Resolved,
        plugins: Plugins,
        resume: RunFolder | None = None,
        *,
        place: Place | None = None,
        shard: bool = False,
        retrain: bool = False,
        quiet: bool = False,
        verbose: bool = False,
    ) -> None:
        self.resolved, self.recipe, self._plugins = resolved, resolved.recipe, plugins
        self._accelerator = accelerator_of(self.recipe)
        self.console = Console(silent=not self._accelerator.is_main_process, quiet=quiet, verbose=verbose)
        if (url := place.url if place else self.recipe.out) and is_remote(url):
            check_store(url)
        if resume is None and place is not None:
            with self._accelerator.local_main_process_first():
                if self._accelerator.is_local_main_process:
                    place.fetch()
            resume = place.resumed()
        self._resumed, self._place, self._shard, self._retrain = resume, place, shard, retrain
        if shard:
            can_shard(self._accelerator)
        if resume is not None:
            same_recipe(self.resolved, resume)

    @property
    def is_main(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return bool(self._accelerator.is_main_process)

    # -- before the first step ----------------------------------------------------------------------------------

    def prepare(self, run: RunFolder | None = None) -> Prepared:
        """Data, objectives and rows; raises everything that can be known without the model."""
        device = str(self._accelerator.device)
        place = None if run is None else run.path
        composer = Composer(self.resolved, self._plugins.catalogue, self.console, device, run=place, shard=self._shard)
        with self._main_first():
            splits = composer.data()
        ready = prepare(self.recipe, composer, splits)
        if self._shard and not (isinstance(ready.scorer, Together) and ready.scorer.together):
            raise InputError(
                f"scorer '{self.recipe.evaluate.scorer.name}' needs all weights in one process",
                where="evaluate.scorer",
                fix="train with evaluate.scorer=policy, then run `polo eval RUN` with this scorer; or drop --shard",
            )
        return ready

    def dry_run(self) -> None:
        """Shows the plan and stops."""
        ready = self.prepare()
        for line in plan.lines(self.recipe, ready, None):
            self.console.say(line)
        for line in ready.composer.foreseen():
            self.console.say(line)

    def _policy(self, ready: Prepared) -> tuple[Policy, Prepared]:
        """The policy, wrapped for the processes at hand, and the rows that fit it."""
        torch.manual_seed(seed_of(self.recipe.seed, "policy"))
        with self._main_first():
            policy = ready.composer.policy()
        ready = for_policy(ready, self.recipe, policy, self.console.say)
        policy.module = spread(policy.module, self._accelerator, shard=self._shard)
        if isinstance(policy, FillsParts):
            policy.fill()
        if self.recipe.init_from is not None:
            with unsharded(policy.module):
                policy.load(Path(self.recipe.init_from))
        return policy, ready

    def opened(self, folder: RunFolder | None) -> tuple[Policy, Prepared]:
        """The policy as it is before the first stage, with the rows that fit it; nothing is trained or written.

        Args:
            folder: of a run that is there, from which the policy takes what a run keeps.
        """
        return self._policy(self.prepare(folder))

    def same(self) -> None:
        """Refuses a run to go on in (or to take as it is) whose stages were made from something else than today's.

        Raises:
            InputError: says what changed.
        """
        policy, ready = self.opened(self._resumed)
        self._prints(ready, policy)

    # -- the run ------------------------------------------------------------------------------------------------

    def execute(self) -> tuple[RunFolder, dict[str, Any]]:
        """Trains and evaluates; returns the run's folder and its results."""
        ledger = Ledger(None, self._accelerator.num_processes, self.console.detail)
        with ledger.part("start"):
            ready = self.prepare(None if self._retrain else self._resumed)
            policy, ready = self._policy(ready)
            start = self._start(policy)
            prints = self._prints(ready, policy)
            trackers = ready.composer.trackers() if self.is_main else []
        watch = Watch(self._plugins, trackers, self.console.warn, self.console.trace)
        folder = self._folder()
        if self.is_main:
            ledger = ledger.moved(folder.path)
        for line in plan.lines(self.recipe, ready, policy):
            self.console.say(line)
        error: BaseException | None = None
        try:
            if self.is_main:
                self._describe(folder, ready, policy)
                at_start(folder, self.recipe, ready, policy, self.console.say)
                watch.started(folder.path, self.resolved.tree)
                folder.publish()
            stages = self._stages(folder, ready, policy, watch)
            if self._retrain:
                stages.forget_changed(prints)
            stages.train_all(prints, ledger)
            with ledger.part("evaluation"):
                results = self._assess(folder, ready, policy, ledger, start)
            if self.is_main:
                watch.evaluated(folder.path, results)
        except BaseException as caught:
            error = peer_lost(caught) if self._accelerator.num_processes > 1 else caught
            if isinstance(caught, KeyboardInterrupt):
                self.console.say(f"go on with the same command and --resume {folder.called}")
            if error is not caught:
                raise error from caught
            raise
        finally:
            if self.is_main:
                watch.ended(folder.path, error)
            arrived = folder.publish()
            folder.release()
        if not arrived:
            raise PoloError(
                f"the run ended well, in {folder.path}, but not all of it could be copied",
                where=str(self._place.name if self._place else self.recipe.out),
                fix="the same command with --resume and that folder's URL tries again",
            )
        return folder, results

    def _stages(self, folder: RunFolder, ready: Prepared, policy: Policy, watch: Watch | None = None) -> Stages:
        watch = watch or Watch(self._plugins)
        return Stages(self.resolved, self._accelerator, self.console, folder, ready, policy, watch)

    def _prints(self, ready: Prepared, policy: Policy) -> dict[str, Print]:
        """What the stages are made from; a run that goes on must have begun with the same."""
        run = self._resumed
        stages = self._stages(run or RunFolder(Path()), ready, policy)
        prints = stages.prints()
        if run is not None and not self._retrain:
            same_base(run.path, policy)
            stages.compare(run, prints)
        return prints

    def _folder(self) -> RunFolder:
        recipe = self.recipe
        where = self._place
        if self._resumed is not None:
            folder = self._resumed
        else:
            where = where or new_place(recipe.out, stamped(recipe.name))
            made = [""]
            if self.is_main:
                new = RunFolder.create(Path(recipe.out), recipe.name) if where is None else RunFolder.at(where.folder)
                made = [str(new.path)]
            if self._accelerator.num_processes > 1:
                broadcast_object_list(made)
            folder = RunFolder(Path(made[0]))
        if self.is_main:
            folder.claim()
            if where is not None and where.url is not None:
                folder.mirror = Mirror(where.url, folder.path, self.console.say)
        return folder

    def _describe(self, folder: RunFolder, ready: Prepared, policy: Policy) -> None:
        """Everything about the run that is known before it starts; of one that goes on, only what may be new."""
        processes = {"count": self._accelerator.num_processes, "sharded": self._shard}
        path = folder.path / "provenance.json"
        if isinstance(policy, Based):
            try:
                policy.keep_base(folder.base)
            except OSError as error:
                raise cannot_write(folder.base, error) from error
        began: dict[str, Any] = {}
        if self._resumed is not None:
            began = read(path, Provenance, fix="restore the file, or start a new run")
            now = {"started": datetime.now(UTC).isoformat(timespec="seconds"), "processes": processes}
            began = {**began, "continued": [*began.get("continued", []), now]}
            if not self._retrain:
                write_json(path, began)
                return
        write_bytes(folder.path / "recipe.yaml", self.resolved.text.encode())
        facts = {
            **provenance.gather(self._plugins),
            "recipe": self.resolved.tree,
            "profile": self.resolved.profile,
            "overrides": self.resolved.overrides,
            "data": {"name": ready.splits.name, "form": ready.splits.form, "fingerprint": ready.splits.fingerprint,
                     "licence": ready.splits.licence, "notes": dict(ready.splits.notes)},
            "base": {"sha256": base_of(policy)},
            "policy": facts_of(policy),
            "protocol": protocol_of(self.recipe, ready),
            "seed": self.recipe.seed,
            "processes": processes,
        }  # fmt: skip
        if began:  # what is trained again is of today, what stays was compared with today
            facts |= {key: began[key] for key in ("started", "continued", "processes") if key in began}
        write_json(path, facts)
        write_bytes(folder.path / "resolved.yaml", to_yaml(self.resolved).encode())  # last: from here on it can go on

    def _start(self, policy: Policy) -> Weights | None:
        """The weights before the first stage, if they are to be measured."""
        return snapshot(policy.module) if self.recipe.evaluate.start else None

    def _assess(
        self, folder: RunFolder, ready: Prepared, policy: Policy, ledger: Ledger, start: Weights | None
    ) -> dict[str, Any]:
        return assess(self.resolved, ready, policy, folder, self._accelerator, self.console, ledger, start)

    def evaluate_again(self, folder: RunFolder) -> dict[str, Any]:
        """``polo eval``: the systems of a finished run under this (perhaps changed) evaluation."""
        for name in self.recipe.stages:
            folder.intact(folder.stage(name))
        policy, ready = self._policy(self.prepare(folder))
        same_base(folder.path, policy)
        return self._assess(folder, ready, policy, Ledger(None, say=self.console.detail), self._start(policy))

    @contextlib.contextmanager
    def _main_first(self) -> Iterator[None]:
        """The first process builds (and fills caches), the others follow and find them."""
        with self._accelerator.main_process_first():
            yield
