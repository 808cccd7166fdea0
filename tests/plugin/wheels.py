"""Small wheels, made and installed by pip as anybody's are."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path


def wheel(folder: Path, dist: str, code: str, requires: str = "") -> Path:
    """A wheel with one module, which is the plugin.

    Args:
        folder: where it is written.
        dist: its distribution; the module and the entry point are called like it.
        code: of the module.
        requires: a distribution that it depends on.
    """
    module = dist.replace("-", "_")
    info = f"{module}-1.0.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {dist}\nVersion: 1.0\n"
    files = {
        f"{module}.py": code,
        f"{info}/METADATA": metadata + (f"Requires-Dist: {requires}\n" if requires else ""),
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[polo]\n{module} = {module}\n",
    }
    record = "".join(f"{name},,\n" for name in [*files, f"{info}/RECORD"])
    place = folder / f"{module}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(place, "w") as archive:
        for name, text in {**files, f"{info}/RECORD": record}.items():
            archive.writestr(name, text)
    return place


def install(folder: Path, plugins: Mapping[str, tuple[str, str]]) -> Path:
    """A folder for ``PYTHONPATH`` into which pip installed these distributions: name -> (code, what it requires)."""
    site = folder / "site"
    wheels = [wheel(folder, dist, code, requires) for dist, (code, requires) in plugins.items()]
    words = ["install", "-q", "--no-deps", "--no-index", "--no-compile", "--disable-pip-version-check", "--target"]
    subprocess.run([sys.executable, "-m", "pip", *words, str(site), *map(str, wheels)], check=True, capture_output=True)
    return site
