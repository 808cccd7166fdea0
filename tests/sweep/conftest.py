"""A small recipe in a folder of its own, with a cache of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.sweep.toy import RECIPE


@pytest.fixture
def toy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's file; the current folder is its own."""
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path
