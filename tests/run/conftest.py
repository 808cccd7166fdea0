"""A whole recipe small enough to run in seconds: a tiny world, a tiny model, the real components."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.run.toy import RECIPE, Main, command, folder_of


@pytest.fixture
def polo(polo: Main, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """polo in this process, with the cache of the session."""
    monkeypatch.setenv("POLO_CACHE", str(cache))
    return polo


@pytest.fixture(scope="session")
def cache(original: tuple[Path, str]) -> Path:
    """One cache for all runs of the session: the base and the stages of the original are in it, whatever ran first."""
    return original[0].parent.with_name("cache")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    """A finished run that has trained its stages itself and that nobody may change, and what it said."""
    place = tmp_path_factory.mktemp("original")
    (place / "toy.yaml").write_text(RECIPE)
    done = command("run", str(place / "toy.yaml"), f"out={place / 'runs'}", POLO_CACHE=str(place / "cache"))
    return folder_of(done), done.stdout


@pytest.fixture
def toy(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's file; the current folder is its own."""
    monkeypatch.setenv("POLO_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path
