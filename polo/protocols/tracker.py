"""Who is told every metric."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Receives every line of ``metrics.jsonl``. One that fails is named and left out; the run goes on."""

    def log(self, metrics: Mapping[str, Any]) -> None:
        """A line: ``stage``, ``step`` (from 0 in each stage) and figures, named as users of TRL know them."""

    def close(self) -> None:
        """The run ended, well or not."""


@runtime_checkable
class Begins(Protocol):
    """A tracker that must know which run it follows. Building it must not write anything."""

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        """Called once before the first line, also where a run goes on, which is then the same folder.

        Args:
            run: folder of the run; its name is the run's identity.
            recipe: the resolved recipe as plain data.
        """


@runtime_checkable
class Concludes(Protocol):
    """A tracker that shows how the run ended."""

    def conclude(self, results: Mapping[str, Any]) -> None:
        """The evaluation ended; ``results`` is what ``results.json`` holds."""
