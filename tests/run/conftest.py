"""A whole recipe small enough to run in seconds: a tiny world, a tiny model, the real components."""

from __future__ import annotations

from pathlib import Path

import pytest

from polo.cli import main
from tests.run.toy import RECIPE, Main, command


@pytest.fixture
def polo(capsys: pytest.CaptureFixture[str], cache: Path, monkeypatch: pytest.MonkeyPatch) -> Main:
    """polo in this process: exit code, stdout and stderr."""
    monkeypatch.setenv("POLO_CACHE", str(cache))

    def run(*words: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as ended:
            main([str(word) for word in words])
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return run


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all runs of the session, so that the base is made once."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def original(tmp_path_factory: pytest.TempPathFactory, cache: Path) -> tuple[Path, str]:
    """A finished run that nobody may change, and what it said."""
    place = tmp_path_factory.mktemp("original")
    (place / "toy.yaml").write_text(RECIPE)
    done = command("run", str(place / "toy.yaml"), f"out={place / 'runs'}", POLO_CACHE=str(cache))
    return Path(done.stdout.strip().splitlines()[-1]), done.stdout


@pytest.fixture
def toy(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The recipe's file; the current folder is its own."""
    monkeypatch.setenv("POLO_CACHE", str(cache))
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "toy.yaml"
    path.write_text(RECIPE)
    return path
