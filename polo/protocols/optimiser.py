"""What moves weights along their gradient, and what a policy may say of how far each of its weights moves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

if TYPE_CHECKING:
    from torch import optim


@runtime_checkable
class Optimiser(Protocol):
    """Makes the torch optimiser of a stage."""

    def __call__(self, groups: Sequence[Mapping[str, Any]]) -> optim.Optimizer:
        """An optimiser over groups with ``params``, ``lr`` and ``weight_decay`` each.

        The engine sets ``lr`` of every group before each step. What the optimiser remembers of a parameter must be
        tensors: ``step``, and others, of any shape. Checkpoints hold nothing else of it. Where weights are spread over
        processes only tensors of the parameter's shape can be; an optimiser with others refuses such weights.

        Raises:
            InputError: the optimiser is not for these weights.
        """


@dataclass(frozen=True, kw_only=True)
class ParamGroup:
    """Parameters that move at a rate of their own.

    Args:
        names: names of parameters of the policy's ``module``, or of modules inside it with all their parameters.
        lr: their learning rate, as a factor on the stage's.
        weight_decay: their weight decay, as a factor on the stage's.

    Example:
        >>> ParamGroup(names=("items",), lr=10.0, weight_decay=0.0).names
        ('items',)
    """

    names: tuple[str, ...]
    lr: float = 1.0
    weight_decay: float = 1.0


@runtime_checkable
class Grouped(Protocol):
    """A policy whose parameters do not all move at the stage's rate."""

    def param_groups(self) -> Sequence[ParamGroup]:
        """Groups, asked for at the start of each stage. Parameters that are in none move at the stage's rate."""
