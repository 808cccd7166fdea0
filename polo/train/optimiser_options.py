"""Options of the optimisers that polo itself brings. Rate and weight decay are the stage's own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt, Lt

from polo.errors import InputError

#: a decay rate of a running mean
_Decay = Annotated[float, Ge(0), Lt(1)]


@dataclass(frozen=True, kw_only=True)
class AdamOptions:
    """Options of ``adamw`` and ``adam``."""

    #: decay of the running means of gradients and of their squares
    betas: tuple[_Decay, _Decay] = (0.9, 0.999)
    #: added to the root of the mean square
    eps: Annotated[float, Gt(0)] = 1e-8


@dataclass(frozen=True, kw_only=True)
class SgdOptions:
    """Options of ``sgd``."""

    #: share of the last step that is kept
    momentum: _Decay = 0.0
    #: look ahead along the momentum
    nesterov: bool = False

    def __post_init__(self) -> None:
        if self.nesterov and not self.momentum:
            raise InputError("nesterov needs momentum", fix="set momentum, such as 0.9, or leave nesterov out")


@dataclass(frozen=True, kw_only=True)
class AdafactorOptions:
    """Options of ``adafactor``."""

    #: the running mean of squares forgets at ``1 - step ** decay`` (paper: -0.8)
    decay: Annotated[float, Lt(0)] = -0.8
    #: the least length of a weight that a step is measured against
    eps: Annotated[float, Gt(0)] = 1e-3
    #: the root mean square that an update is cut down to (paper: 1)
    clip: Annotated[float, Gt(0)] = 1.0
