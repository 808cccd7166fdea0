"""Numbers that are written at every step, under the names that users of preference trainers know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Generic, NamedTuple, TypeVar

import torch
from accelerate import Accelerator
from torch import Tensor

from polo.train.step import Judged

Value = TypeVar("Value", Tensor, float)


class Sums(NamedTuple, Generic[Value]):
    """Sums of one step over its rows, over all pairs (``valid_rejected``), and over the pairs that entered the loss."""

    loss: Value
    counted: Value
    rows: Value
    chosen: Value
    rejected: Value
    margin: Value
    won: Value
    ahead: Value
    pairs: Value
    kept: Value
    beta: Value


def _sums(one: Judged) -> Sums[Tensor]:
    """Of one pass, so that passes and processes can be added up; summed in float64."""
    scores, keep, kept, beta = one.scores, one.scores.valid_rejected, one.keep, one.beta
    ratio = scores.log_ratio
    reward = ratio[:, :1] - ratio[:, 1:]
    ahead = _won(scores.chosen[:, None] - scores.rejected, keep)

    def over(mask: Tensor, value: Tensor) -> Tensor:
        return torch.where(mask, value, 0.0).sum(dtype=torch.float64)

    return Sums(
        loss=(one.loss.double() * one.counted).sum(),
        counted=one.counted.sum().double(),
        rows=torch.tensor(float(len(one.loss)), dtype=torch.float64, device=one.loss.device),
        chosen=scores.chosen.sum(dtype=torch.float64),
        rejected=over(keep, scores.rejected),
        margin=over(keep, beta * reward),
        won=ahead if scores.ref is None else _won(reward, keep),
        ahead=ahead,
        pairs=keep.sum().double(),
        kept=kept.sum().double(),
        beta=over(kept, beta),
    )


def _won(gap: Tensor, keep: Tensor) -> Tensor:
    """How many of the pairs that are kept have the chosen item ahead; a tie is half of it."""
    return (((gap > 0) & keep).count_nonzero() + ((gap >= 0) & keep).count_nonzero()).double() / 2


def step_metrics(
    judged: Sequence[Judged], accelerator: Accelerator, extra: Mapping[str, float] = MappingProxyType({})
) -> dict[str, float]:
    """Metrics of one step over all passes and processes.

    Args:
        extra: the policy's own terms of the loss, by name.

    Returns:
        ``loss``, all that is minimised; ``loss/NAME`` of each of the policy's own terms, which are in it;
        ``logps/chosen`` (nats, mean over rows); and where there are negatives ``logps/rejected``,
        ``rewards/margins`` (beta times the difference of log-ratios), ``rewards/accuracies`` (share of pairs where the
        chosen item's log-ratio is higher), ``preference_accuracy`` (the same of the policy's own scores), ``kept``
        (share of negatives that entered the loss) and ``beta`` (mean over those).
    """
    total = torch.zeros(len(Sums._fields), dtype=torch.float64, device=accelerator.device)
    if judged:  # a process without a row has nothing to add
        total = torch.stack([torch.stack(_sums(one)) for one in judged]).sum(dim=0)
    if accelerator.num_processes > 1:
        total = accelerator.reduce(total, reduction="sum")
    of: Sums[float] = Sums(*total.tolist())
    metrics = {"loss": of.loss / max(of.counted, 1.0) + sum(extra.values()), "logps/chosen": of.chosen / of.rows}
    metrics |= {f"loss/{name}": value for name, value in extra.items()}
    if of.pairs:
        metrics |= {
            "logps/rejected": of.rejected / of.pairs,
            "rewards/margins": of.margin / of.pairs,
            "rewards/accuracies": of.won / of.pairs,
            "preference_accuracy": of.ahead / of.pairs,
            "kept": of.kept / of.pairs,
            "beta": of.beta / max(of.kept, 1.0),
        }
    return metrics
