"""A new Python environment that borrows the packages of this one, so that something is installed without a download."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path


def run(*command: str | Path, cwd: Path, **env: str) -> str:
    """What a command prints; what it said, as an error, where it does not end well."""
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
