"""A small random model and the policy over it, made once for each file of tests."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.polo_vllm import world


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vllm")


@pytest.fixture(scope="module")
def base(place: Path) -> Path:
    return world.base(place / "base")


@pytest.fixture(scope="module")
def policy(base: Path, place: Path) -> Any:
    return world.policy(base, place)
