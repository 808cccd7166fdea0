"""What laws of losses look at: values with their gradient."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from polo.protocols import Loss
from polo.testing.cases import Case


def gradient(head: Loss, one: Case) -> tuple[Tensor, Tensor]:
    """Losses ``[B]`` and the gradient of their sum with respect to the policy's scores ``[B, 1+K]``."""
    policy = one.scores.policy.detach().clone().requires_grad_()
    losses = head(replace(one.scores, policy=policy), one.keep, one.beta)
    if not losses.requires_grad:
        return losses, torch.zeros_like(policy)
    (slope,) = torch.autograd.grad(losses.sum(), policy, allow_unused=True)
    return losses.detach(), torch.zeros_like(policy) if slope is None else slope
