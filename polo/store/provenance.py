"""Where a number comes from: versions, plugins, hardware, code, data. Gathers facts; decides nothing."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from polo.errors import InputError
from polo.plugin.load import Plugins
from polo.protocols import Based, HasFacts, Policy
from polo.store.shapes import Provenance, read

#: distributions whose versions can change a number
WATCHED = (
    "polo-rec",
    "torch",
    "transformers",
    "peft",
    "bitsandbytes",
    "accelerate",
    "safetensors",
    "tokenizers",
    "numpy",
    "scipy",
    "vllm",
)


def versions() -> dict[str, str]:
    """Installed versions of everything that can change a number."""
    found = {"python": platform.python_version()}
    for name in WATCHED:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def base_of(policy: Policy) -> str:
    """sha256 of the policy's base; empty for a policy without one."""
    return policy.base_hash() if isinstance(policy, Based) else ""


def facts_of(policy: Policy) -> dict[str, Any]:
    """What the policy tells of itself; empty for one that has nothing to tell."""
    return dict(policy.facts()) if isinstance(policy, HasFacts) else {}


def began_with(run: Path) -> str:
    """sha256 of the base that a run began with.

    Raises:
        InputError: its ``provenance.json`` does not say.
    """
    facts = read(run / "provenance.json", Provenance, fix="restore the file, or start a new run")
    if "base" not in facts:
        raise InputError("does not say which base the run began with", where=str(run / "provenance.json"),
                         fix="restore the file, or start a new run")  # fmt: skip
    return str(facts["base"]["sha256"])


def same_base(run: Path, policy: Policy) -> None:
    """A run's adapters mean nothing on another base.

    Raises:
        InputError: the policy stands on another base than the run began with.
    """
    began = began_with(run)
    now = base_of(policy)
    if began != now:
        raise InputError(
            f"the base model is not the one that this run began with: sha256 {began or 'of none'} then, {now} now",
            where=str(run),
            fix="bring the first base back (a made one is in the run's folder `base`), or start a new run",
        )


def _git() -> dict[str, Any]:
    def ask(*words: str) -> str | None:
        try:
            done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=True)  # noqa: S603, S607
        except (OSError, subprocess.SubprocessError):
            return None
        return done.stdout.strip()

    commit = ask("rev-parse", "HEAD")
    return {} if commit is None else {"commit": commit, "dirty": bool(ask("status", "--porcelain"))}


def gather(plugins: Plugins) -> dict[str, Any]:
    """Everything about the machine and the installation; the caller adds data, protocol and seeds."""
    import torch

    cuda = torch.cuda.is_available()
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": sys.argv,
        "versions": versions(),
        "plugins": [
            {
                "distribution": r.dist,
                "version": r.version,
                "entry": r.entry,
                "status": r.status,
                "error": r.error,
                **({"file": r.file, "sha256": r.sha256} if r.local else {}),
            }
            for r in plugins.records
        ],
        "hardware": {
            "machine": platform.machine(),
            "system": platform.system(),
            "cpus": os.cpu_count(),
            "threads": torch.get_num_threads(),
            "gpus": [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())] if cuda else [],
            "cuda": torch.version.cuda if cuda else None,
        },
        "git": _git(),
    }
