"""Where a toy run takes place, how it ended, and what it left."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.run.toy import RECIPE


@dataclass(frozen=True)
class Ended:
    """How a run ended: its exit code (negative: the signal that killed it) and all it said."""

    code: int
    said: str


Polo = Callable[..., Ended]


def furnish(place: Path, base: Path) -> Path:
    place.mkdir()
    (place / "toy.yaml").write_text(RECIPE)
    shutil.copytree(base, place / "cache")
    return place


def run_folder(place: Path) -> Path:
    """The only run of a folder."""
    (found,) = (place / "runs").iterdir()
    return found


def leftovers(place: Path) -> list[Path]:
    """What is half-written."""
    return list(place.rglob(".tmp-*"))
