"""A sampler around another sampler: passes on everything that it does not change.

Base class for plugin authors whose sampler selects among what another draws. Knows the sampler contract only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from polo.protocols import (
    AfterStep,
    BeforeStep,
    Drawing,
    Gift,
    Need,
    Refresh,
    Sampler,
    Stateful,
    gives_of,
    needs_of,
)

if TYPE_CHECKING:
    from jaxtyping import Bool
    from torch import Tensor

    from polo.data import Rows
    from polo.protocols import Peek
    from polo.randomness import RowRandom
    from polo.scores import Draw, Scores


class SamplerWrapper:
    """Draws as the inner sampler does, keeps what it keeps; override what differs.

    Needs, refreshes, events of steps and state of the inner sampler are passed on, so that wrappers can be nested.

    Args:
        inner: the sampler that draws (``context.build(options.from_)``).
        needs: what the wrapper itself needs, besides what the inner sampler needs.
    """

    def __init__(self, inner: Sampler, needs: frozenset[Need] = frozenset()) -> None:
        self.inner = inner
        self.needs: frozenset[Need] = needs | needs_of(inner)
        #: what its draws say besides items; a wrapper whose ``draw`` drops it sets this to the empty set
        self.gives: frozenset[Gift] = gives_of(inner)
        #: negatives of a draw, 0 if the inner sampler does not say; a wrapper that draws another number sets it
        self.k: int = inner.k if isinstance(inner, Drawing) else 0

    def draw(self, rows: Rows, rng: RowRandom, peek: Peek) -> Draw:
        return self.inner.draw(rows, rng, peek)

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Bool[Tensor, "b k"]:
        return self.inner.keep(scores, rng, progress) & scores.valid_rejected

    def refresh(self, epoch: int, rows: Rows, peek: Peek) -> None:
        if isinstance(self.inner, Refresh):
            self.inner.refresh(epoch, rows, peek)

    def before_step(self, step: int) -> None:
        if isinstance(self.inner, BeforeStep):
            self.inner.before_step(step)

    def after_step(self, step: int) -> None:
        if isinstance(self.inner, AfterStep):
            self.inner.after_step(step)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict() if isinstance(self.inner, Stateful) else {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        if isinstance(self.inner, Stateful):
            self.inner.load_state_dict(state)
