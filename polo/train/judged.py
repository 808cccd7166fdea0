"""What an objective has made of scored rows, and the mean of it over all of them. Knows losses and no policy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NoReturn

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from polo.errors import PoloError
from polo.model.sharding import is_sharded
from polo.scores import Scores


@dataclass(frozen=True)
class Judged:
    """Scores of some rows with what the objective made of them."""

    scores: Scores
    keep: Tensor
    beta: Tensor
    loss: Tensor
    counted: Tensor


def normalise(module: nn.Module, judged: Sequence[Judged], accelerator: Accelerator) -> Tensor:
    """From the summed gradient to that of the mean over counted rows of all processes. Waits for no device.

    Returns:
        ``[2]``, float32: how many rows were counted, and the loss of how many was not finite.
    """
    local = torch.zeros(2, device=accelerator.device)  # a process without a row adds nothing
    for one in judged:
        local += torch.stack([one.counted.sum(), (~torch.isfinite(one.loss)).sum()])
    sums: Tensor = local if accelerator.num_processes == 1 else accelerator.reduce(local, reduction="sum")
    count = sums[0]
    scale: Tensor | float = torch.where(count > 0, 1.0 / count.double().clamp(min=1.0), 0.0)
    if count.device.type == "cpu" or is_sharded(module):  # a sharded tensor takes numbers only
        scale = float(scale)
    for p in module.parameters():
        if p.grad is not None:
            p.grad.mul_(scale)
    return sums


def blame(judged: Sequence[Judged]) -> NoReturn:
    """Names a row whose loss is not finite.

    Raises:
        PoloError: always; where no row of this process is to blame, another one's is.
    """
    for one in judged:
        bad = torch.nonzero(~torch.isfinite(one.loss))
        if len(bad):
            i, s = int(bad[0, 0]), one.scores
            raise PoloError(
                f"the loss is {float(one.loss[i])}; policy scores: {[round(v, 2) for v in s.policy[i].tolist()]}",
                where=f"row {int(s.rows[i])}, user {int(s.users[i])}, item {int(s.items[i, 0])}",
                fix="lower the learning rate, or look at that row's text",
            )
    raise PoloError("another process met a loss that is not finite; its message names the row")
