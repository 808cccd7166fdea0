"""Options of the samplers. Knows names, bounds and defaults; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Le

from polo import Ref


@dataclass(frozen=True, kw_only=True)
class DrawOptions:
    """A sampler that draws from a pool of items."""

    #: negatives drawn for each row
    k: Annotated[int, Ge(1)] = 19
    #: never: drawn once, the same in every epoch (as published; the reference is scored once); epoch: drawn anew
    resample: Literal["never", "epoch"] = "never"


@dataclass(frozen=True, kw_only=True)
class GivenOptions:
    """The answers that the data bring."""

    #: at most this many for each row, the first of its list; all if not given
    k: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, kw_only=True)
class UniformOptions(DrawOptions):
    """Uniform negatives."""

    #: candidates: from the row's own list; catalogue: from all items; auto: the list where the prompt shows one
    pool: Literal["auto", "candidates", "catalogue"] = "auto"


@dataclass(frozen=True, kw_only=True)
class PopularityOptions(DrawOptions):
    """Popular items more often."""

    #: an item is drawn in proportion to (its count in the training sequences) to this power; 0 is uniform
    alpha: Annotated[float, Ge(0)] = 0.75
    #: added to every count, so that an item without interactions can be drawn
    smoothing: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class InBatchOptions:
    """Targets of the other rows of the batch."""

    #: negatives for each row; fewer where the batch has fewer different targets
    k: Annotated[int, Ge(1)] = 19


@dataclass(frozen=True, kw_only=True)
class CatalogueOptions:
    """Every item."""

    #: leave out what the user is known to have consumed (and the shown history)
    exclude_known: bool = True


@dataclass(frozen=True, kw_only=True)
class SelectOptions:
    """A sampler that selects among the negatives of another."""

    #: the sampler that draws
    from_: Ref["sampler"]
    #: how many enter the loss
    n: Annotated[int, Ge(1)] = 5


@dataclass(frozen=True, kw_only=True)
class SoftmaxOptions(SelectOptions):
    """Selection by score with a temperature."""

    #: in units of the policy's score; towards 0 it is ``hard``, towards infinity a uniform choice
    temperature: Annotated[float, Gt(0)] = 1.0


@dataclass(frozen=True, kw_only=True)
class DnsOptions:
    """Dynamic negative sampling DNS(M, N): N is what ``from`` draws."""

    #: the sampler that draws the pool
    from_: Ref["sampler"]
    #: negatives for each row
    k: Annotated[int, Ge(1)] = 1
    #: they are chosen uniformly from the m best scored of the pool; at least k
    m: Annotated[int, Ge(1)] = 1


@dataclass(frozen=True, kw_only=True)
class PolicyDrawOptions:
    """Draws from the policy's own distribution."""

    #: negatives for each row; fewer where there are fewer items that it may get
    k: Annotated[int, Ge(1)] = 5


@dataclass(frozen=True, kw_only=True)
class TopOptions:
    """The policy's best items of the whole catalogue."""

    #: negatives for each row
    k: Annotated[int, Ge(1)] = 5
    #: they are chosen uniformly from the m best; at least k
    m: Annotated[int, Ge(1)] = 20


@dataclass(frozen=True, kw_only=True)
class SelfPlayOptions:
    """The policy's own predictions of an earlier epoch."""

    #: the sampler that draws what the policy may choose from
    from_: Ref["sampler"]
    #: predictions kept for each row
    k: Annotated[int, Ge(1)] = 1
    #: epochs from one refresh to the next
    every: Annotated[int, Ge(1)] = 1
    #: of the draw from the policy's distribution over the pool; 0 takes the best scored
    temperature: Annotated[float, Ge(0)] = 0.0


@dataclass(frozen=True, kw_only=True)
class NoisyOptions:
    """Plants items the user likes among the negatives: for studies of robustness."""

    #: the sampler that draws
    from_: Ref["sampler"]
    #: share of negatives that are replaced
    rate: Annotated[float, Ge(0), Le(1)] = 0.125
    #: an item may be planted several times in a row, as in the paper's code; else users with few items bound the rate
    repeat: bool = False
