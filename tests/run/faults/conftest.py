"""A toy run that starts in milliseconds, and a warm cache for it."""

from __future__ import annotations

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.run.faults.places import Ended, Polo, furnish
from tests.run.toy import RECIPE


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests that run polo as a whole are slow."""
    for item in items:
        if item.path.parent == Path(__file__).parent and "polo" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.slow)


@pytest.fixture(scope="session")
def polo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Polo]:
    """``polo(folder, *words, **job)`` runs polo in a process of its own; see ``zygote`` for what a job may hold."""
    place = tmp_path_factory.mktemp("zygote")
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    with subprocess.Popen(
        [sys.executable, "-m", "tests.run.faults.zygote", str(place / "ready")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        counter = itertools.count()

        def run(folder: Path, *words: str, cache: Path | None = None, **job: Any) -> Ended:
            said = place / f"said-{next(counter)}"
            job |= {"words": words, "folder": str(folder), "said": str(said)}
            job["environment"] = {"POLO_CACHE": str(cache or folder / "cache")}
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            answer = process.stdout.readline()
            assert answer, "the process that forks runs has ended"
            return Ended(int(answer), said.read_text(errors="replace"))

        yield run
        process.stdin.close()


@pytest.fixture(scope="session")
def base(polo: Polo, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that holds the base model and nothing else."""
    place = tmp_path_factory.mktemp("base")
    (place / "toy.yaml").write_text(RECIPE)
    ended = polo(place, "run", "toy.yaml")
    assert ended.code == 0, ended.said
    for name in ("stages", "reference"):
        shutil.rmtree(place / "cache" / name)
    return place / "cache"


@pytest.fixture
def place(base: Path, tmp_path: Path) -> Path:
    """A folder with the recipe and a cache of its own."""
    return furnish(tmp_path / "place", base)
