"""Terms of the policy's own in the loss of a step: computed once from the whole batch, whatever passes there are.

Every process computes all of them, from the same rows under the same seed, so that their gradients are alike and are
exchanged by nobody. Knows the contract; knows no term.
"""

from __future__ import annotations

import math

import torch
from accelerate import Accelerator
from torch import Tensor

from polo.data import PAD, Rows
from polo.errors import PoloError
from polo.model.seeding import seed_device
from polo.model.sharding import exchanging, whole
from polo.protocols import ExtraLoss, OnHost, Policy
from polo.scores import Draw
from polo.sending import sent


class Extra:
    """The policy's own terms in the steps of a stage.

    Args:
        policy: may have terms.
        accelerator: knows processes and device.
    """

    def __init__(self, policy: Policy, accelerator: Accelerator) -> None:
        # asked once: what a protocol asks of an object is looked up anew each time
        self._terms = policy.extra_loss if isinstance(policy, ExtraLoss) else None
        self._on_host = isinstance(policy, OnHost)
        self._policy, self._accelerator = policy, accelerator
        self._values: dict[str, Tensor] = {}
        self._rows: Rows | None = None

    @property
    def values(self) -> dict[str, float]:
        """Those of the last step, by name; to read them is to wait for them."""
        return {name: float(value) for name, value in self._values.items()}

    def add(self, rows: Rows, draw: Draw, seed: int) -> None:
        """Adds the gradient of the terms to that in the policy's parameters.

        Values stay where they were computed; see :meth:`check`.

        Args:
            rows: the batch of all processes.
            draw: what was drawn for it.
            seed: of the random numbers that computing the terms takes (dropout); the same in all processes.
        """
        if self._terms is None:
            return
        items, real = draw.beside(rows)
        seen = torch.where(real, items, PAD)
        seen = seen if self._on_host else sent(seen, self._accelerator.device)
        seed_device(seed, self._accelerator.device)
        with exchanging(self._policy.module, self._accelerator, now=False):
            terms = {name: whole(term) for name, term in self._terms(rows, seen).items()}
            if terms:
                self._accelerator.backward(torch.stack([term.double() for term in terms.values()]).sum())
        self._values, self._rows = {name: term.detach() for name, term in terms.items()}, rows

    def check(self) -> None:
        """Reads the values of the last step.

        Raises:
            PoloError: a term is not finite; names it.
        """
        for name, value in self.values.items():
            if self._rows is not None and not math.isfinite(value):
                raise PoloError(
                    f"the policy's own term '{name}' of the loss is {value}",
                    where=f"{len(self._rows)} rows, the first of them row {int(self._rows.id[0])}",
                    fix="lower the learning rate, or the weight of the term",
                )
