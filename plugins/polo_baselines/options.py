"""Options of the baselines. Imports no array library."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Len


@dataclass(frozen=True, kw_only=True)
class RunOptions:
    """A finished run as a baseline."""

    #: folder of the run
    path: str
    #: which of its systems: ``model``, a stage, or a baseline
    system: Annotated[str, Len(1)] = "model"
    #: how it is called in results; the folder's name if not given
    label: Annotated[str, Len(1)] | None = None
