"""Options of the launcher. Imports neither torch nor Ray."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from annotated_types import Ge, Gt


@dataclass(frozen=True, kw_only=True)
class RayOptions:
    """What ``--launcher '{use: ray, ...}'`` may say."""

    #: the cluster; if not given that of RAY_ADDRESS, else one on this machine for this run alone
    address: str | None = None
    #: how often all workers begin again, from the newest checkpoint, after a worker or its node was lost
    restarts: Annotated[int, Ge(0)] = 3
    #: fewest workers that the run goes on with; `--processes` is the most, and if not given as many as there always are
    least: Annotated[int, Ge(1)] | None = None
    #: seconds between two looks whether the cluster has room for more workers, where `least` is given
    resize: Annotated[float, Gt(0)] = 60.0
    #: CPUs of a worker
    cpus: Annotated[float, Gt(0)] = 1.0
    #: GPUs of a worker
    gpus: Annotated[int, Ge(0)] = 0
