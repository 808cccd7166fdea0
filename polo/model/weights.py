"""Copies of a policy's trainable weights, and scoring under such a copy. Knows parameters, not what they mean."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from polo.model.sharding import is_sharded, like, whole

Weights = Mapping[str, Tensor]


def bare(module: nn.Module) -> nn.Module:
    """The module without the wrapper that DDP puts around it."""
    inner = getattr(module, "module", None)
    return inner if isinstance(inner, nn.Module) and isinstance(module, nn.parallel.DistributedDataParallel) else module


def trainable(module: nn.Module) -> dict[str, nn.Parameter]:
    """Names and parameters that are trained, in a fixed order."""
    return {name: p for name, p in bare(module).named_parameters() if p.requires_grad}


def snapshot(module: nn.Module) -> dict[str, Tensor]:
    """A copy of the trainable weights, on the same device; of a sharded module this process's part of them."""
    return {name: p.detach().clone() for name, p in trainable(module).items()}


def restore(module: nn.Module, weights: Weights) -> None:
    """Puts a snapshot back in place; whole weights are taken as well where the module is sharded."""
    with torch.no_grad():
        for name, p in trainable(module).items():
            p.copy_(like(weights[name], p))


@contextmanager
def under(module: nn.Module, weights: Weights) -> Iterator[None]:
    """Inside the block the module computes with ``weights``, in eval mode, without gradients.

    Storage is exchanged, not copied, so the block costs nothing however large the weights are.
    """
    training = module.training
    with _copied(module, weights) if is_sharded(module) else _exchanged(module, weights):
        try:
            module.eval()
            with torch.no_grad():
                yield
        finally:
            module.train(training)


@contextmanager
def _exchanged(module: nn.Module, weights: Weights) -> Iterator[None]:
    parameters = trainable(module)
    own = {name: p.data for name, p in parameters.items()}
    try:
        for name, p in parameters.items():
            p.data = weights[name]
        yield
    finally:
        for name, p in parameters.items():
            p.data = own[name]


@contextmanager
def _copied(module: nn.Module, weights: Weights) -> Iterator[None]:
    """FSDP gathers from the storage that it was given, so values are copied there: this process's part of them."""
    own = snapshot(module)
    try:
        restore(module, weights)
        yield
    finally:
        restore(module, own)


def digest(weights: Weights) -> str:
    """sha256 of names, shapes and bytes of the whole weights; all processes must call it if they are sharded."""
    sha = hashlib.sha256()
    for name in sorted(weights):
        value = whole(weights[name].detach()).cpu().contiguous()
        sha.update(f"{name}{tuple(value.shape)}{value.dtype}".encode())
        sha.update(value.reshape(-1).view(torch.uint8).numpy().tobytes())
    return sha.hexdigest()
