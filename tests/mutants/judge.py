"""Runs tests on a broken copy of the sources. Knows processes; knows no mutation operator.

The checkout is never touched: each judge has a copy of it, changes one file there, runs the tests in a child that has
torch and its like in memory already, and puts the file back.
"""

from __future__ import annotations

import importlib
import os
import shutil
import signal
import sys
import time
import traceback
from collections.abc import Sequence
from pathlib import Path

from tests.mutants.mutations import Mutation

#: what tests import and no mutation touches: loaded once, before the first fork
WARM = ("torch", "transformers", "peft", "accelerate", "safetensors.torch", "pyarrow.parquet")
COPIED = ("polo", "plugins", "tests", "recipes", "benchmarks", "pyproject.toml", "CONTRIBUTING.md", "README.md")
#: of pytest
ALL_PASSED, SOME_FAILED, INTERRUPTED = 0, 1, 2


def warm_up() -> None:
    for name in WARM:
        importlib.import_module(name)
    sys.dont_write_bytecode = True  # two changes within a second and of one length have the same stamp


class Judge:
    """A copy of the checkout in ``place``, and what its tests say.

    Args:
        root: the checkout.
        place: an empty folder.
    """

    def __init__(self, root: Path, place: Path) -> None:
        self.place, self._whole = place, b""
        for name in COPIED:
            source = root / name
            if source.is_dir():
                ignored = shutil.ignore_patterns("__pycache__", ".hypothesis", "out", "runs")
                shutil.copytree(source, place / name, ignore=ignored)
            else:
                shutil.copy(source, place / name)

    def start(self, tests: Sequence[str]) -> int:
        """Begins the tests in a child; returns its process id."""
        child = os.fork()
        if child:
            return child
        code = 3
        try:
            os.setsid()
            os.chdir(self.place)
            here = [str(self.place), str(self.place / "plugins")]
            sys.path[:0] = here
            # what tests start in processes of their own is the copy too, and leaves no byte code there either
            os.environ |= {"PYTHONPATH": os.pathsep.join(here), "PYTHONDONTWRITEBYTECODE": "1"}
            for name in [name for name in sys.modules if name.split(".")[0] in ("tests", "polo")]:
                del sys.modules[name]
            log = os.open(self.place / "log.txt", os.O_CREAT | os.O_TRUNC | os.O_WRONLY)
            os.dup2(log, 1)
            os.dup2(log, 2)
            # what broke one mutant is no example for the next
            shutil.rmtree(self.place / ".hypothesis", ignore_errors=True)
            code = _run(tests, self.place)
        except BaseException:
            traceback.print_exc()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def put(self, mutation: Mutation) -> None:
        self._whole = (self.place / mutation.path).read_bytes()
        (self.place / mutation.path).write_text(mutation.text, "utf-8")

    def restore(self, mutation: Mutation) -> None:
        """Puts back what :meth:`put` found; the checkout may have moved on."""
        (self.place / mutation.path).write_bytes(self._whole)

    def log(self) -> str:
        return (self.place / "log.txt").read_text("utf-8", errors="replace")


def wait(child: int, timeout: float) -> int | None:
    """The exit code of a child; ``None`` if it took longer and was killed."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.05)
    os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def _run(tests: Sequence[str], place: Path) -> int:
    import pytest

    import polo

    assert Path(polo.__file__).is_relative_to(place), "the copy is not what would be tested"
    own = ("slow", "fuzz", "gpu", "oracle", "vllm", "scaffold", "notebook", "trackers", "pages")
    apart = " and ".join(f"not {marker}" for marker in own)
    warm = "ignore::pytest.PytestAssertRewriteWarning"
    plain = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0"]
    return int(pytest.main([*plain, "-W", warm, "-m", apart, *tests]))
