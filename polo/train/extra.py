"""Terms of the policy's own in the loss of a step: computed once from the whole batch, whatever passes there are.

Every process computes all of them, from the same rows under the same seed, so that their gradients are alike and are
exchanged by nobody. Knows the contract; knows no term.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

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


def add_extra(policy: Policy, rows: Rows, draw: Draw, accelerator: Accelerator, seed: int) -> dict[str, Tensor]:
    """Adds the gradient of the policy's own terms to that in its parameters, and gives their values by name.

    Values stay where they were computed; see :func:`check_extra`.

    Args:
        policy: may have terms.
        rows: the batch of all processes.
        draw: what was drawn for it.
        accelerator: knows processes and device.
        seed: of the random numbers that computing the terms takes (dropout); the same in all processes.
    """
    if not isinstance(policy, ExtraLoss):
        return {}
    items, real = draw.beside(rows)
    seen = torch.where(real, items, PAD)
    seen = seen if isinstance(policy, OnHost) else sent(seen, accelerator.device)
    seed_device(seed, accelerator.device)
    with exchanging(policy.module, accelerator, now=False):
        terms = {name: whole(term) for name, term in policy.extra_loss(rows, seen).items()}
        if terms:
            accelerator.backward(torch.stack([term.double() for term in terms.values()]).sum())
    return {name: term.detach() for name, term in terms.items()}


def check_extra(values: Mapping[str, Tensor], rows: Rows) -> None:
    """Reads the values of the policy's own terms.

    Raises:
        PoloError: a term is not finite; names it.
    """
    for name, value in values.items():
        if not math.isfinite(read := float(value)):
            raise PoloError(
                f"the policy's own term '{name}' of the loss is {read}",
                where=f"{len(rows)} rows, the first of them row {int(rows.id[0])}",
                fix="lower the learning rate, or the weight of the term",
            )
