"""A plugin of every kind as its author has it: made, installed into an environment of its own, tested, linted, run.

The environment borrows polo and what polo needs from the one that runs this, so that nothing is downloaded.
"""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from polo.plugin.component import KINDS

pytestmark = pytest.mark.scaffold


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    done = subprocess.run(
        [str(word) for word in command], cwd=cwd, env=os.environ | env, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, f"{command}\n{done.stdout[-4000:]}\n{done.stderr[-4000:]}"
    return done.stdout


def environment(folder: Path) -> Path:
    """A new environment's Python, which finds this one's packages behind its own."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    site = run(python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))", cwd=folder).strip()
    borrowed = dict.fromkeys([sysconfig.get_path("purelib"), *(p for p in sys.path if p.endswith("site-packages"))])
    # addsitedir, unlike a bare path, also reads the .pth files there: those of editable installations
    lines = [f"import site; site.addsitedir({path!r})" for path in borrowed]
    (Path(site) / "borrowed.pth").write_text("\n".join(lines) + "\n", "utf-8")
    return python


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
