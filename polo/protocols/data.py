"""Where rows come from."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from polo.data import Splits


@runtime_checkable
class DataSource(Protocol):
    """``build(options, context)`` must be cheap; ``load`` reads."""

    def load(self) -> Splits: ...
