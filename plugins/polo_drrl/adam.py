"""Parameters that a loss head trains itself, apart from the model's: Adam in two parts, a proposal and a commit.

Knows tensors; no objective. All processes see the same gradient, so they move alike.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

import torch
from torch import Tensor

#: Kingma & Ba, arXiv 1412.6980, algorithm 1
_FIRST: Final = 0.9
_SECOND: Final = 0.999
_EPS: Final = 1e-8


class Adam:
    """Values with Adam's moments, in float64.

    Args:
        values: where they begin.
        lr: learning rate, one for all or one for each.
        project: puts moved values back where they may be.

    Example (the first step of Adam has the size of the learning rate):
        >>> own = Adam(torch.tensor([1.0, 2.0]), 0.1)
        >>> own.propose(torch.tensor([5.0, -3.0]))
        >>> own.values.tolist(), own.commit(), [round(v, 4) for v in own.values.tolist()]
        ([1.0, 2.0], None, [0.9, 2.1])
    """

    def __init__(
        self, values: Tensor, lr: float | Tensor, project: Callable[[Tensor], Tensor] = lambda values: values
    ) -> None:
        self._lr, self._project = lr, project
        self.values = values.double()
        self._first, self._second = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self._steps = 0
        self._gradient: Tensor | None = None

    def on(self, device: torch.device) -> Tensor:
        """The values on a device, as a leaf that gradients can be taken of."""
        self.values, self._first, self._second = (t.to(device) for t in (self.values, self._first, self._second))
        return self.values.detach().clone().requires_grad_()

    def propose(self, gradient: Tensor) -> None:
        """The gradient that :meth:`commit` will follow downhill."""
        self._gradient = gradient.detach().double()

    def commit(self) -> None:
        """One step along the last proposal; nothing if there is none."""
        if self._gradient is None:
            return
        self._steps += 1
        self._first = _FIRST * self._first + (1 - _FIRST) * self._gradient
        self._second = _SECOND * self._second + (1 - _SECOND) * self._gradient**2
        mean, square = self._first / (1 - _FIRST**self._steps), self._second / (1 - _SECOND**self._steps)
        lr = self._lr.to(mean.device) if isinstance(self._lr, Tensor) else self._lr
        self.values = self._project(self.values - lr * mean / (square.sqrt() + _EPS))
        self._gradient = None

    def state_dict(self) -> dict[str, Any]:
        return {
            "values": self.values.cpu(), "first": self._first.cpu(), "second": self._second.cpu(), "steps": self._steps
        }  # fmt: skip

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.values, self._first, self._second = (state[name].double() for name in ("values", "first", "second"))
        self._steps, self._gradient = int(state["steps"]), None
