"""Options of the beta schedules. Knows names, bounds and defaults; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Le, Lt


@dataclass(frozen=True, kw_only=True)
class FixedOptions:
    """One strength for all."""

    #: strength of every negative, all the time
    value: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class ScheduleOptions:
    """A strength that changes over the stage."""

    #: at the start of the stage
    start: Annotated[float, Gt(0)] = 1.0
    #: at its end
    end: Annotated[float, Gt(0)] = 0.1


@dataclass(frozen=True, kw_only=True)
class BatchDynamicOptions:
    """beta-DPO."""

    #: strength at an average margin
    base: Annotated[float, Gt(0)] = 0.1
    #: how strongly beta follows the batch's mean margin; 0 keeps it at ``base``
    alpha: Annotated[float, Ge(0)] = 0.6
    #: share of the batch's pairs that is kept, those with unusual margins being dropped first; 1 keeps all
    share: Annotated[float, Gt(0), Le(1)] = 0.8
    #: of the running mean and deviation of the margins
    momentum: Annotated[float, Ge(0), Lt(1)] = 0.9
    #: beta is never less
    floor: Annotated[float, Gt(0)] = 1e-3
