"""Checkpoints of a stage: written whole, checked when read, the newest intact one wins.

A checkpoint holds the policy (in its own form), the optimiser, the states of stateful components and the position. All
randomness is a function of seed, stage and step, so there is no generator state to keep.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from polo.errors import PoloError
from polo.model.sharding import like, unsharded, whole
from polo.model.weights import trainable
from polo.protocols import Policy, Stateful
from polo.store.files import damage, whole_folder, write_json

#: checkpoints of a stage that are kept
KEPT = 2


@dataclass
class Progress:
    """Where a stage stands, and what it remembers.

    ``best_value`` is the best validation figure so far, measured at ``best_step``; ``waited`` counts the measurements
    since then, for ``patience``; ``best`` are the weights of that step, for ``select: best_valid``; ``mean`` is that of
    the weights of all steps so far, for ``average``.
    """

    step: int = 0
    best_value: float | None = None
    best_step: int = 0
    waited: int = 0
    best: dict[str, Tensor] = field(default_factory=dict)
    mean: dict[str, Tensor] = field(default_factory=dict)


def _split_state(components: list[tuple[str, Any]]) -> tuple[dict[str, Tensor], dict[str, Any]]:
    tensors: dict[str, Tensor] = {}
    numbers: dict[str, Any] = {}
    for name, component in components:
        if isinstance(component, Stateful):
            for key, value in component.state_dict().items():
                if isinstance(value, Tensor):
                    tensors[f"{name}.{key}"] = value.detach().cpu().contiguous().clone()
                else:
                    numbers[f"{name}.{key}"] = value
    return tensors, numbers


def save(
    folder: Path,
    policy: Policy,
    optimizer: torch.optim.Optimizer,
    components: list[tuple[str, Any]],
    progress: Progress,
    *,
    writes: bool = True,
) -> None:
    """Writes a checkpoint; ``folder`` is replaced whole.

    All processes must call this, of which one ``writes``: what each of them holds a part of is put together first, so
    that a checkpoint does not depend on how weights were spread.
    """
    state = {
        f"{name}|{key}": value
        for name, p in trainable(policy.module).items()
        for key, value in optimizer.state[p].items()
    }
    tensors = {
        "optimizer": _collected(state, keep=writes),
        "best": _collected(progress.best, keep=writes),
        "mean": _collected(progress.mean, keep=writes),
    }
    with unsharded(policy.module):
        if writes:
            _write(folder, policy, tensors, components, progress)


def _collected(tensors: Mapping[str, Tensor], *, keep: bool) -> dict[str, Tensor]:
    """Whole tensors in main memory; one at a time, and nothing where they are not kept."""
    found = ((name, whole(value.detach())) for name, value in tensors.items())
    return {name: value.cpu().contiguous().clone() for name, value in found if keep}


def _write(
    folder: Path,
    policy: Policy,
    named: Mapping[str, dict[str, Tensor]],
    components: list[tuple[str, Any]],
    progress: Progress,
) -> None:
    with whole_folder(folder) as place:
        (place / "policy").mkdir()
        policy.save(place / "policy")
        for name, held in named.items():
            save_file(held, place / f"{name}.safetensors")
        tensors, numbers = _split_state(components)
        save_file(tensors, place / "components.safetensors")
        position = {key: value for key, value in vars(progress).items() if key not in ("best", "mean")}
        write_json(place / "state.json", {**position, "components": numbers})
    for old in of_stage(folder.parent, folder.name.rpartition("-")[0])[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)


def of_stage(checkpoints: Path, stage: str) -> list[Path]:
    """Checkpoints of a stage, the oldest first; those of a stage ``sft-2`` are none of ``sft``."""
    found = {
        int(step): folder
        for folder in checkpoints.glob("*-*")
        for name, _, step in [folder.name.rpartition("-")]
        if name == stage and step.isascii() and step.isdigit()
    }
    return [found[step] for step in sorted(found)]


def newest(checkpoints: Path, stage: str, say: Callable[[str], None]) -> Path | None:
    """The newest intact checkpoint of ``stage``; damaged ones are named and passed over.

    Raises:
        PoloError: there are checkpoints, and all of them are damaged.
    """
    faults = []
    for folder in reversed(of_stage(checkpoints, stage)):
        fault = damage(folder)
        if fault is None:
            return folder
        faults.append(fault)
        say(f"checkpoint {folder.name} is damaged: {fault}; trying the one before")
    if faults:
        raise PoloError(
            f"no checkpoint of stage '{stage}' is intact: {faults[0]}",
            where=str(checkpoints),
            fix="delete the damaged folders to train this stage again from its start",
        )
    return None


def load(folder: Path, policy: Policy, optimizer: torch.optim.Optimizer, components: list[tuple[str, Any]]) -> Progress:
    """Puts a checkpoint back into live objects, however their weights are spread."""
    with unsharded(policy.module):
        policy.load(folder / "policy")
    moments = load_file(folder / "optimizer.safetensors")
    for name, p in trainable(policy.module).items():
        state = {key.rpartition("|")[2]: value for key, value in moments.items() if key.rpartition("|")[0] == name}
        for key, value in state.items():
            # what has another shape belongs to no part of a weight; such optimisers refuse weights that are spread
            optimizer.state[p][key] = value if key == "step" else like(value, p if value.shape == p.shape else p.data)
    state_json: Mapping[str, Any] = json.loads((folder / "state.json").read_text("utf-8"))
    everything = {**load_file(folder / "components.safetensors"), **state_json["components"]}
    for name, component in components:
        if isinstance(component, Stateful):
            prefix = f"{name}."
            component.load_state_dict({k[len(prefix) :]: v for k, v in everything.items() if k.startswith(prefix)})
    position = {key: value for key, value in state_json.items() if key != "components"}
    best, mean = (load_file(folder / f"{name}.safetensors") for name in ("best", "mean"))
    return Progress(**position, best=best, mean=mean)
