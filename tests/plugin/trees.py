"""Source trees of plugins that can be used where they lie, without pip: what pip would leave behind, beside them."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path


def installed(project: Path, site: Path) -> dict[str, str]:
    """Writes the distribution's metadata into ``site``; the environment of a process in which the plugin is found."""
    facts = tomllib.loads((project / "pyproject.toml").read_text("utf-8"))["project"]
    info = site / f"{facts['name'].replace('-', '_')}-{facts['version']}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {facts['name']}\nVersion: {facts['version']}\n")
    entries = "".join(f"{name} = {module}\n" for name, module in facts["entry-points"]["polo"].items())
    (info / "entry_points.txt").write_text(f"[polo]\n{entries}")
    return os.environ | {
        "PYTHONPATH": os.pathsep.join([str(project / "src"), str(site)]),
        "POLO_PLUGINS": facts["name"],
        "POLO_STRICT_PLUGINS": "1",
        "POLO_CACHE": str(site / "cache"),
        "CUDA_VISIBLE_DEVICES": "",
    }


def run(words: Sequence[str], folder: Path, env: dict[str, str]) -> str:
    """stdout of ``python -m WORDS`` in a folder, which must end well."""
    done = subprocess.run(
        [sys.executable, "-m", *words], cwd=folder, env=env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
