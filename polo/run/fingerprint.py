"""The fingerprint of a stage: equal fingerprints mean equal weights at its end, so that runs can share stages.

A fingerprint is taken of facts by name, and the facts are kept in the run, so that what changed can be said.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from polo.called import called
from polo.console import Console
from polo.errors import InputError
from polo.evaluate.significance import interval
from polo.plugin.hookspecs import polo_policies
from polo.plugin.load import Plugins
from polo.protocols import Policy
from polo.recipe.model import Resolved
from polo.run.compose import Composer
from polo.run.imports import Code
from polo.run.watching import Watch
from polo.store.cost import Ledger
from polo.store.files import write_bytes, write_json
from polo.store.provenance import base_of, versions
from polo.store.runfolder import RunFolder, read_facts
from polo.train.interrupt import Interrupt
from polo.train.monitor import Monitor
from polo.train.step_metrics import step_metrics
from polo.words import listing

#: keys of a stage that change when it saves or measures, not what it learns
_NOT_LEARNING = ("checkpoint", "tokens_per_pass")
#: what says, shows, finds and files but decides no weight: an edit of these trains nothing again. (The recipe's model
#: is among them because its values are in the fingerprint as they stand.)
_WATCHING = (Console, Composer, Interrupt, Monitor, Plugins, Resolved, RunFolder, InputError, polo_policies,
             step_metrics, interval, write_bytes, versions, Ledger, Watch,
             called, listing)  # fmt: skip
#: kept in the run folder: stage -> its print
KEPT = "fingerprints.json"


def training_code() -> Code:
    """Reads the code that decides weights."""
    return Code(watching={*(what.__module__ for what in _WATCHING), __name__})


@dataclass(frozen=True)
class Print:
    """What a stage's weights are made from.

    Args:
        facts: name -> value or mapping of values, plain data.
    """

    facts: Mapping[str, Any]

    @property
    def fingerprint(self) -> str:
        """16 hexadecimal digits over all facts."""
        return hashlib.sha256(json.dumps(self.facts, sort_keys=True, default=str).encode()).hexdigest()[:16]


def stage_prints(
    resolved: Resolved, composer: Composer, data: str, policy: Policy, weights: Mapping[str, str], root: str
) -> dict[str, Print]:
    """The print of every stage; known before anything is trained.

    Args:
        data: fingerprint of the data.
        weights: digest of the weights at the ``base`` and of a reference that is a folder, by name.
        root: module of the engine from which all that decides weights is imported.
    """
    tree: Mapping[str, Any] = resolved.tree
    recipe, code = resolved.recipe, training_code()
    made: dict[str, Print] = {}
    engine = _hash(code.of(root))
    before, ends = weights["base"], {"base": weights["base"]}
    for name, stage in recipe.stages.items():
        told = {k: v for k, v in tree["stages"][name].items() if k not in _NOT_LEARNING and k != "start"}
        measured = stage.select == "best_valid" or stage.validate.patience is not None
        if not measured:
            told.pop("validate", None)
        lists = policy.pool == "candidates" or measured
        used = recipe.reference in made or recipe.reference in weights
        reference = made[recipe.reference].fingerprint if recipe.reference in made else weights.get(recipe.reference)
        choices = [recipe.policy, stage.loss, stage.sampler, stage.beta, stage.optimiser, stage.average,
                   stage.validate.metric if measured else None]  # fmt: skip
        made[name] = Print({
            "recipe": {
                f"stages.{name}": told, "seed": tree["seed"], "policy": tree["policy"],
                "candidates": tree["candidates"] if lists else None,
                "device": tree["device"], "precision": tree["precision"],
            },
            "start": before if stage.start is None else ends[stage.start],
            "data": data,
            "base": base_of(policy),
            "policy": policy.fingerprint(),
            "reference": reference if used else None,
            "gpu": torch.cuda.is_available(),
            "versions": versions(),
            "code": {
                label: _hash(files)
                for choice in choices if choice is not None
                for label, files in composer.code(choice, code).items()
            },
            "engine": engine,
        })  # fmt: skip
        before = ends[name] = made[name].fingerprint
    return made


def scoring_code(composer: Composer, policy: Any, root: str) -> str:
    """Hash of the code that reference scores depend on: the policy's with all inside it, and the engine's."""
    code = training_code()
    return _hash({label: _hash(files) for label, files in composer.code(policy, code).items()} | code.of(root))


def _hash(files: Mapping[str, str]) -> str:
    return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()[:16]


def kept_prints(folder: Path) -> dict[str, Print]:
    """What a run wrote of its stages with :func:`keep_print`; empty where nothing of it can be read."""
    return {name: Print(facts) for name, facts in read_facts(folder / KEPT).items() if isinstance(facts, dict)}


def keep_print(folder: Path, name: str, made: Print) -> None:
    """Writes what a stage of this run is made from, before its first step."""
    kept = {**kept_prints(folder), name: made}
    write_json(folder / KEPT, {stage: dict(one.facts) for stage, one in kept.items()})


def changed(began: Print | None, now: Print) -> list[str]:
    """In words, what a stage was made from that is another today; empty if nothing is."""
    if began is None:
        return [f"what it was made from (its entry in {KEPT} is missing or damaged)"]
    if began.fingerprint == now.fingerprint:
        return []
    words = []
    for name in [key for key in {**now.facts, **began.facts} if began.facts.get(key) != now.facts.get(key)]:
        old, new = began.facts.get(name), now.facts.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            keys = [key for key in {**new, **old} if old.get(key) != new.get(key)]
            words += [_changed_key(name, key, old.get(key), new.get(key)) for key in keys]
        else:
            words.append(_WORDS.get(name, name) + (f" (sha256 {old} then, {new} now)" if name == "base" else ""))
    # what follows from something else is not named beside it
    return [word for word in words if word not in _FOLLOWING] or words


_WORDS = {
    "start": "the weights that it starts from",
    "data": "the data",
    "base": "the base model",
    "policy": "the policy (prompt, tokens, type or engine)",
    "reference": "the reference",
    "gpu": "whether there is a GPU",
    "engine": "polo's own training code",
}
_FOLLOWING = {_WORDS["start"], _WORDS["policy"], _WORDS["reference"]}


def _changed_key(name: str, key: str, old: Any, new: Any) -> str:
    if name == "code":
        return f"the code of {key}"
    return f"{key} ({old} then, {new} now)" if name == "versions" else f"`{key}` of the recipe"


def refuse_changed(folder: Path, now: Mapping[str, Print], has: Mapping[str, bool]) -> None:
    """Going on needs what the run's stages were made from.

    Args:
        has: stage -> whether the run has weights of it, finished or in a checkpoint.

    Raises:
        InputError: something is another; says what.
    """
    kept = kept_prints(folder)
    for name, made in now.items():
        if has[name] and (words := changed(kept.get(name), made)):
            raise InputError(
                f"stage '{name}' of this run was trained before a change of: {'; '.join(words)}",
                where=str(folder),
                fix="undo the change, start a new run, or train what it concerns again with --retrain",
            )
