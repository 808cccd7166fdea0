"""Numbers that are written at every step, under the names that users of preference trainers know."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from accelerate import Accelerator
from torch import Tensor

from polo.train.step import Judged

#: numbers that :func:`_sums` gives
_SUMS = 11


def _sums(one: Judged) -> Tensor:
    """Sums over rows and pairs, so that passes and processes can be added up; float64."""
    scores, keep = one.scores, one.scores.valid_rejected
    kept = one.keep
    reward = (scores.log_ratio[:, :1] - scores.log_ratio[:, 1:]).double()
    ahead = (scores.chosen[:, None] > scores.rejected).double() + 0.5 * (scores.chosen[:, None] == scores.rejected)
    won = (reward > 0).double() + 0.5 * (reward == 0)
    beta = one.beta.double()
    zero = torch.zeros_like(reward)

    def over(mask: Tensor, value: Tensor) -> Tensor:
        return torch.where(mask, value, zero).sum()

    return torch.stack(
        [
            (one.loss.double() * one.counted).sum(),
            one.counted.sum().double(),
            torch.tensor(float(len(one.loss)), dtype=torch.float64, device=one.loss.device),
            scores.chosen.double().sum(),
            over(keep, scores.rejected.double()),
            over(keep, beta * reward),
            over(keep, won),
            over(keep, ahead),
            keep.sum().double(),
            kept.sum().double(),
            over(kept, beta),
        ]
    )


def step_metrics(judged: Sequence[Judged], accelerator: Accelerator) -> dict[str, float]:
    """Metrics of one step over all passes and processes.

    Returns:
        ``loss``; ``logps/chosen`` (nats, mean over rows); and where there are negatives ``logps/rejected``,
        ``rewards/margins`` (beta times the difference of log-ratios), ``rewards/accuracies`` (share of pairs where the
        chosen item's log-ratio is higher), ``preference_accuracy`` (the same of the policy's own scores), ``kept``
        (share of negatives that entered the loss) and ``beta`` (mean over those).
    """
    total = torch.zeros(_SUMS, dtype=torch.float64, device=accelerator.device)
    if judged:  # a process without a row has nothing to add
        total = torch.stack([_sums(one) for one in judged]).sum(dim=0)
    if accelerator.num_processes > 1:
        total = accelerator.reduce(total, reduction="sum")
    loss, counted, rows, chosen, rejected, margin, won, ahead, pairs, kept, beta = total.tolist()
    metrics = {"loss": loss / max(counted, 1.0), "logps/chosen": chosen / rows}
    if pairs:
        metrics |= {
            "logps/rejected": rejected / pairs,
            "rewards/margins": margin / pairs,
            "rewards/accuracies": won / pairs,
            "preference_accuracy": ahead / pairs,
            "kept": kept / pairs,
            "beta": beta / max(kept, 1.0),
        }
    return metrics
