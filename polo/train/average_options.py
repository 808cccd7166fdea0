"""Options of the means of weights that polo itself brings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt


@dataclass(frozen=True, kw_only=True)
class EmaOptions:
    """Options of ``ema``."""

    #: share of the old mean that is kept at a step; 0 is no averaging
    decay: Annotated[float, Ge(0), Lt(1)] = 0.999
    #: keep less at first, ``(1 + step) / (10 + step)`` at most, so that the start is soon forgotten
    warm: bool = False


@dataclass(frozen=True, kw_only=True)
class LastOptions:
    """Options of ``last``."""

    #: how long before its end the mean begins; all steps of a stage that is shorter
    epochs: Annotated[float, Gt(0)] = 1.0
