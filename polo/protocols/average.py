"""What weighs the weights of a stage's steps in their mean."""

from __future__ import annotations

from typing import Protocol, runtime_checkable


@runtime_checkable
class Average(Protocol):
    """Says how much the weights after each step enter the mean that is measured and handed on in their place.

    It may declare ``needs``: ``end``, where the length of the stage must be known when it begins.
    """

    def share(self, step: int, total: int, epoch: int) -> float:
        """``mean += share * (weights - mean)``; a function of its arguments alone.

        The mean begins as the weights that the stage begins with; a share of 1 makes it the weights as they are.

        Args:
            step: how many steps were taken, from 1.
            total: steps of the stage.
            epoch: steps of an epoch.

        Returns:
            From 0 to 1.
        """
