"""A plugin of every kind as its author has it: made, installed into an environment of its own, tested, linted, run.

The environment borrows polo and what polo needs from the one that runs this, so that nothing is downloaded.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from polo.plugin.component import KINDS
from tests.environments import environment, run

pytestmark = pytest.mark.scaffold


@pytest.mark.parametrize("kind", KINDS)
def test_law_a_new_plugin_of_every_kind_works_as_soon_as_it_is_installed(kind: str, tmp_path: Path) -> None:
    python = environment(tmp_path / "venv")
    env = {"POLO_STRICT_PLUGINS": "1", "POLO_CACHE": str(tmp_path / "cache"), "CUDA_VISIBLE_DEVICES": ""}
    env["POLO_PLUGINS"] = "polo-plugin-new-one"
    said = run(python, "-m", "polo", "plugin", "new", "new-one", "--kind", kind, cwd=tmp_path, **env)
    folder = tmp_path / said.strip().splitlines()[-1]
    install = (python, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index", folder)
    run(*install, cwd=tmp_path)
    assert "passed" in run(python, "-m", "pytest", "-q", "-W", "error", cwd=folder, **env)
    checked = run(python, "-m", "polo", "plugin", "check", "polo-plugin-new-one", cwd=tmp_path, **env)
    assert f"{kind}/new_one: " in checked
    assert "fail" not in checked
    assert "new_one_toy" in run(python, "-m", "polo", "ls", "recipes", cwd=tmp_path, **env)
    ran = run(python, "-m", "polo", "run", "new_one_toy", "out=runs", cwd=tmp_path, **env)
    assert (tmp_path / ran.strip().splitlines()[-1] / "results.json").is_file()
    run(python, "-m", "ruff", "check", "--no-cache", ".", cwd=folder)
