"""Where a number comes from: versions, plugins, hardware, code, data. Gathers facts; decides nothing."""

from __future__ import annotations

import hashlib
import importlib
import os
import platform
import subprocess
import sys
from collections.abc import Iterable
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from polo.plugin.load import Plugins

#: distributions whose versions can change a number
WATCHED = (
    "polo-rec",
    "torch",
    "transformers",
    "peft",
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


def source_hash(packages: Iterable[str]) -> str:
    """sha256 over the Python files of imported packages (or modules); changes when any of their code does."""
    files: set[Path] = set()
    for name in packages:
        module = sys.modules.get(name) or importlib.import_module(name)
        for place in getattr(module, "__path__", []):
            files.update(Path(place).rglob("*.py"))
        if module.__file__ and not hasattr(module, "__path__"):
            files.add(Path(module.__file__))
    sha = hashlib.sha256()
    for file in sorted(files):
        sha.update(file.name.encode() + file.read_bytes())
    return sha.hexdigest()


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
            {"distribution": r.dist, "version": r.version, "entry": r.entry, "status": r.status, "error": r.error}
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
