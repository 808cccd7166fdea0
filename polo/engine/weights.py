"""Copies of a policy's trainable weights, and scoring under such a copy. Knows parameters, not what they mean."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Weights = Mapping[str, Tensor]


def bare(module: nn.Module) -> nn.Module:
    """The module without the wrapper that DDP puts around it."""
    inner = getattr(module, "module", None)
    return inner if isinstance(inner, nn.Module) and isinstance(module, nn.parallel.DistributedDataParallel) else module


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Names and parameters that are trained, in a fixed order."""
    return {name: p for name, p in bare(module).named_parameters() if p.requires_grad}


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of the trainable weights, on the same device."""
    return {name: p.detach().clone() for name, p in trainable(module).items()}


def restore(module: nn.Module, weights: Weights) -> None:
    """Puts a snapshot back in place."""
    with torch.no_grad():
        for name, p in trainable(module).items():
            p.copy_(weights[name])


@contextmanager
def under(module: nn.Module, weights: Weights) -> Iterator[None]:
    """Inside the block the module computes with ``weights``, in eval mode, without gradients.

    Storage is exchanged, not copied, so the block costs nothing however large the weights are.
    """
    parameters = trainable(module)
    own = {name: p.data for name, p in parameters.items()}
    training = module.training
    try:
        for name, p in parameters.items():
            p.data = weights[name]
        module.eval()
        with torch.no_grad():
            yield
    finally:
        for name, p in parameters.items():
            p.data = own[name]
        module.train(training)


def digest(weights: Weights) -> str:
    """sha256 of names, shapes and bytes."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().cpu().contiguous()
        sha.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        sha.update(value.view(torch.uint8).numpy().tobytes() if value.numel() else b"")
    return sha.hexdigest()
