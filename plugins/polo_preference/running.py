"""Running statistics of batches, in two steps: a look with the present batch, and a commit after the optimiser step.

The look does not change anything, so that a loss may be computed twice or for validation. Knows tensors; no objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Float
from torch import Tensor


class RunningNorm:
    """Exponential moving mean and deviation: ``m <- momentum m + (1 - momentum) batch``; the first batch starts it.

    Example:
        >>> running = RunningNorm(0.9)
        >>> every = torch.tensor([[True, True]])
        >>> [round(float(v), 3) for v in running.look(torch.tensor([[1.0, 3.0]]), every)]
        [2.0, 1.0]
        >>> running.commit()
        >>> [round(float(v), 3) for v in running.look(torch.tensor([[12.0, 12.0]]), every)]
        [3.0, 0.9]
    """

    def __init__(self, momentum: float) -> None:
        self._momentum = momentum
        self._now = self._next = torch.full((2,), torch.nan, dtype=torch.float64)

    def look(self, x: Float[Tensor, "b k"], among: Bool[Tensor, "b k"]) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
        """Mean and (population) deviation that hold after the values of ``x`` that are marked; 0 and 0 before any."""
        with torch.no_grad():
            n = among.sum()
            values = torch.where(among, x.double(), 0.0)
            mean = values.sum() / n.clamp(min=1)
            deviation = (torch.where(among, values - mean, 0.0) ** 2).sum().div(n.clamp(min=1)).sqrt()
            batch, now = torch.stack([mean, deviation]), self._now.to(x.device)
            moved = torch.where(now.isnan(), batch, self._momentum * now + (1 - self._momentum) * batch)
            self._next = torch.where(n > 0, moved, now)
            known = self._next.nan_to_num().to(x.dtype)
        return known[0], known[1]

    def commit(self) -> None:
        """The last look becomes the state."""
        self._now = self._next

    def state_dict(self) -> dict[str, Any]:
        return {"mean_and_deviation": self._now.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._now = self._next = state["mean_and_deviation"].to(torch.float64)


class RunningMean:
    """Mean over all batches so far, each batch one value.

    Example:
        >>> running = RunningMean()
        >>> float(running.look(torch.tensor(1.0))), running.commit(), float(running.look(torch.tensor(4.0)))
        (1.0, None, 2.5)
    """

    def __init__(self) -> None:
        self._now = self._next = torch.zeros(2, dtype=torch.float64)

    def look(self, x: Float[Tensor, ""]) -> Float[Tensor, ""]:
        """The mean with ``x`` taken in."""
        with torch.no_grad():
            total, count = self._now.to(x.device).unbind()
            self._next = torch.stack([total + x.double(), count + 1])
            return (self._next[0] / self._next[1]).to(x.dtype)

    def commit(self) -> None:
        """The last look becomes the state."""
        self._now = self._next

    def state_dict(self) -> dict[str, Any]:
        return {"sum_and_count": self._now.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._now = self._next = state["sum_and_count"].to(torch.float64)
