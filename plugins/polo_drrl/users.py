"""A number for each user that losses keep between batches: looked up, moved in a batch, committed after the step.

A look changes nothing, so a loss may be computed twice or for validation. All processes see the whole batch and move
alike. Knows users and tensors; no objective.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo import Context, PoloError, Splits


def splits_of(context: Context) -> Splits:
    """The data whose users and items are counted.

    Raises:
        PoloError: the component was built without data.
    """
    if context.splits is None:
        raise PoloError("this loss keeps something for each user and was built without data", where="loss",
                        fix="pass splits")  # fmt: skip
    return context.splits


class PerUser:
    """float64 ``[users]``.

    Example:
        >>> kept = PerUser(3, 0.5)
        >>> users = torch.tensor([2, 0])
        >>> kept.propose(users, torch.tensor([1.0, 2.0]))
        >>> kept.now(users).tolist(), kept.commit(), kept.now(users).tolist()
        ([0.5, 0.5], None, [1.0, 2.0])
    """

    def __init__(self, users: int, start: float) -> None:
        self._table = torch.full((users,), start, dtype=torch.float64)
        self._next: tuple[Tensor, Tensor] | None = None

    def now(self, users: Int[Tensor, " b"]) -> Float[Tensor, " b"]:
        """The committed numbers of some users."""
        self._table = self._table.to(users.device)
        return self._table[users]

    def propose(self, users: Int[Tensor, " b"], values: Float[Tensor, " b"]) -> None:
        """What :meth:`commit` will write; equal for all rows of a user."""
        self._next = users, values.detach().double()

    def commit(self) -> None:
        """The last proposal becomes the state."""
        if self._next is not None:
            users, values = self._next
            self._table = self._table.index_put((users,), values)
            self._next = None

    def state_dict(self) -> dict[str, Any]:
        return {"users": self._table.cpu()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self._table, self._next = state["users"].to(torch.float64), None
