"""Who is told every metric."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol, runtime_checkable


@runtime_checkable
class Tracker(Protocol):
    """Receives every line of ``metrics.jsonl``."""

    def log(self, metrics: Mapping[str, Any]) -> None: ...

    def close(self) -> None: ...
