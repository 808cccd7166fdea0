"""The fingerprint of a stage: equal fingerprints mean equal weights at its end, so that runs can share stages."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from polo.data import Splits
from polo.model.weights import Weights, digest
from polo.protocols import Policy
from polo.recipe.model import Resolved
from polo.store.provenance import source_hash, versions

#: keys of a stage that change when it saves or measures, not what it learns
_NOT_LEARNING = ("checkpoint", "tokens_per_pass")


def stage_fingerprint(
    resolved: Resolved,
    splits: Splits,
    policy: Policy,
    name: str,
    parts: Sequence[object],
    before: str,
    reference: Weights | None,
) -> str:
    """16 hexadecimal digits over all that determines the weights at the end of stage ``name``.

    Args:
        parts: the stage's live components; a change of their code changes the fingerprint.
        before: fingerprint of the stage before, or ``""``.
        reference: weights of the reference if the stage uses one.
    """
    tree: Mapping[str, Any] = resolved.tree
    stage = {k: v for k, v in tree["stages"][name].items() if k not in _NOT_LEARNING}
    if stage.get("select") == "last":
        stage.pop("validate", None)
    packages = {type(part).__module__.partition(".")[0] for part in (policy, *parts) if part is not None}
    facts = {
        "stage": [name, stage],
        "before": before,
        "seed": tree["seed"],
        "init_from": tree.get("init_from"),
        "data": splits.fingerprint,
        "candidates": tree["candidates"] if policy.pool == "candidates" else None,
        "policy": policy.fingerprint(),
        "policy_options": tree["policy"],
        "reference": None if reference is None else digest(reference),
        "device": [tree["device"], tree["precision"], torch.cuda.is_available()],
        "versions": versions(),
        "code": source_hash(
            [
                "polo.engine",
                "polo.model",
                "polo.train",
                "polo.scores",
                "polo.randomness",
                "polo.candidates",
                *sorted(packages),
            ]
        ),
    }
    return hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:16]
