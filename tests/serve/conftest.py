"""Runs that are made once, which nobody may change."""

from __future__ import annotations

from pathlib import Path

import pytest

from polo.run.recommending import Recommender
from tests.serve import world


@pytest.fixture(scope="session")
def text(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a policy that reads titles."""
    return world.made(tmp_path_factory.mktemp("text"), "text")


@pytest.fixture(scope="session")
def vectors(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a policy that has a vector for each item."""
    return world.made(tmp_path_factory.mktemp("vectors"), "vectors")


@pytest.fixture(scope="session", params=["text", "vectors"])
def served(request: pytest.FixtureRequest) -> Path:
    """Each of both."""
    folder: Path = request.getfixturevalue(request.param)
    return folder


@pytest.fixture(scope="session")
def trained(served: Path) -> Recommender:
    return world.recommender(served)
