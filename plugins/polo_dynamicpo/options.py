"""Options of DynamicPO's sampler and beta. Knows names, bounds and defaults; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Lt

from polo import Ref


@dataclass(frozen=True, kw_only=True)
class BoundaryOptions:
    """Boundary negatives."""

    #: the sampler that draws
    from_: Ref["sampler"]
    #: exact: optimal clusters, order-free, on the device; sklearn: KMeans(random_state=42) row by row, as published
    method: Literal["exact", "sklearn"] = "exact"
    #: which log-probability is compared: sum over the title's tokens (as published), or their mean
    statistic: Literal["sum", "mean"] = "sum"
    #: clusters where no negative violates; the highest one is kept
    clusters: Annotated[int, Ge(2)] = 3
    #: where no negative violates, keep this many of the highest instead of a cluster
    top_k: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, kw_only=True)
class DualMarginOptions:
    """Dual-margin beta."""

    #: strength in the middle of the range
    base: Annotated[float, Gt(0)] = 1.0
    #: margin g in nats: 6.0 in the published experiments, 2.0 in the first public code
    margin: float = 6.0
    #: beta stays within base * (1 - scale) and base * (1 + scale)
    scale: Annotated[float, Ge(0), Lt(1)] = 0.5
    #: what margins are measured in: log-probabilities of whole titles (as published), log-ratios to the reference, or
    #: mean log-probabilities of a title's tokens
    statistic: Literal["logprob", "log_ratio", "mean_logprob"] = "logprob"
    #: added to the denominator, for a row whose two margins are both 0
    eps: Annotated[float, Gt(0)] = 1e-8
