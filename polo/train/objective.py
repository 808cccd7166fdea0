"""What a stage optimises. Knows which components make an objective and what they ask for; computes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from polo.protocols import Beta, Loss, Need, Sampler, needs_of

if TYPE_CHECKING:
    from polo.model.reference import Reference


@dataclass(frozen=True, kw_only=True)
class Objective:
    """The live components of a stage and the reference.

    Args:
        loss: the loss head.
        sampler: draws negatives; ``None`` for a stage without.
        beta: strength of each pair; ``None`` for 1.
        reference: scores of the reference; ``None`` where no component needs it, and before its weights are there.
    """

    loss: Loss
    sampler: Sampler | None = None
    beta: Beta | None = None
    reference: Reference | None = None

    @property
    def components(self) -> list[tuple[str, Any]]:
        """The components by name, for checkpoints and the calls before and after a step."""
        named = [("loss", self.loss), ("sampler", self.sampler), ("beta", self.beta)]
        return [(name, component) for name, component in named if component is not None]

    def needs(self, what: Need) -> bool:
        """Whether any of the components needs it."""
        return what in self._needs

    @cached_property
    def _needs(self) -> frozenset[Need]:
        return frozenset[Need]().union(*(needs_of(component) for _, component in self.components))
