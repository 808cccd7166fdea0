"""Weights that are spread over processes (FSDP2): each holds a part of every tensor, a forward gathers what it needs.

How memory is spread is no mathematics: gradients, metrics and files are those of one process. Everything here does
nothing to a module that is not sharded, so that callers need not ask. Knows modules and tensors; knows no model.

Forwards of a sharded module are collective: all processes must run the same number of them, see :func:`agreed`.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from polo.errors import InputError


def can_shard(accelerator: Accelerator) -> None:
    """Raises InputError where there is one process only."""
    if accelerator.num_processes == 1:
        raise InputError(
            "one process has nobody to share its weights with", where="--shard", fix="add --processes 2, or drop it"
        )


def spread(module: nn.Module, accelerator: Accelerator, *, shard: bool) -> nn.Module:
    """The module made ready for the processes and the precision at hand.

    Args:
        module: on its device; nothing has been computed with it since it was built.
        accelerator: knows processes, device and precision.
        shard: each process keeps a part of the weights (FSDP2), instead of all of them (DDP).

    Raises:
        InputError: the trained weights are of several types, which cannot be sharded together.
    """
    if not shard:
        wrapped: nn.Module = accelerator.prepare_model(module)
        return wrapped
    types = {p.dtype for p in module.parameters() if p.requires_grad}
    if len(types) > 1:
        raise InputError(
            f"weights that are trained are of several types ({', '.join(sorted(map(str, types)))})",
            where="--shard",
            fix="train in one type, or drop --shard",
        )
    # as for evaluation: precision and device, but no wrapper that holds all weights. Nor are they moved where there are
    # none yet; what there is, FSDP moves with its block
    hollow = any(p.is_meta for p in module.parameters())
    module = accelerator.prepare_model(module, device_placement=not hollow, evaluation_mode=True)
    mesh = init_device_mesh(accelerator.device.type, (accelerator.num_processes,))
    for block in blocks(module):
        fully_shard(block, mesh=mesh)
    # what is left (embeddings, head) is given up after a forward too: it may be another copy's turn next
    fully_shard(module, mesh=mesh, reshard_after_forward=True)
    return module


def blocks(module: nn.Module) -> list[nn.Module]:
    """The modules that are gathered one after the other: members of the outermost lists of modules, such as layers.

    Example:
        >>> model = nn.ModuleDict({"layers": nn.ModuleList([nn.Linear(1, 1), nn.ModuleList([nn.Linear(1, 1)])])})
        >>> len(blocks(model))
        2
    """
    found: list[nn.Module] = []
    for child in module.children():
        if isinstance(child, nn.ModuleList):
            found += [block for block in child if next(block.parameters(), None) is not None]
        else:
            found += blocks(child)
    return found


def is_sharded(module: nn.Module) -> bool:
    """Whether :func:`spread` has sharded ``module``."""
    return isinstance(module, FSDPModule)


def agreed(module: nn.Module, n: int) -> int:
    """The largest ``n`` of all processes where each forward of ``module`` needs all of them; else ``n`` as it is.

    Must be called by all processes. Those with fewer passes take part in the others' with rows that count for nothing.
    """
    if not is_sharded(module):
        return n
    box = torch.tensor([n], device=next(module.parameters()).device)
    dist.all_reduce(box, op=dist.ReduceOp.MAX)
    return int(box.item())


def exchanging(module: nn.Module, accelerator: Accelerator, *, now: bool) -> contextlib.AbstractContextManager[Any]:
    """Inside the block a backward pass adds up gradients over processes only if ``now``.

    Sharded ones are added up in every pass: whole gradients of all weights are what there is no memory for.
    """
    if now or is_sharded(module):
        return contextlib.nullcontext()
    held: contextlib.AbstractContextManager[Any] = accelerator.no_sync(module)
    return held


def clip(parameters: Sequence[nn.Parameter], largest: float | None) -> Tensor:
    """Scales gradients down to the norm ``largest``, all together, if there is one; returns the norm that they had.

    As a tensor where it was computed: to read it is to wait for it.
    """
    norm = whole(torch.nn.utils.get_total_norm([p.grad for p in parameters if p.grad is not None]))
    if largest is not None:
        torch.nn.utils.clip_grads_with_norm_(parameters, largest, norm)
    return norm


def whole(value: Tensor) -> Tensor:
    """All of a tensor. Of a sharded one: gathered from all processes, which must all call this."""
    return value.full_tensor() if isinstance(value, DTensor) else value


def like(value: Tensor, other: Tensor) -> Tensor:
    """A whole ``value`` held as ``other`` is: on its device, and this process's part of it if it is sharded."""
    value = value.to(other.device)
    if isinstance(other, DTensor) and not isinstance(value, DTensor):
        # every process has the whole value; nothing need be sent
        return distribute_tensor(value, other.device_mesh, other.placements, src_data_rank=None)
    return value


@contextlib.contextmanager
def unsharded(module: nn.Module) -> Iterator[None]:
    """Inside the block trained weights are whole parameters, so that a policy can save and load them.

    All processes must enter; only one need write. What the block changes is shared out again at its end, so a block
    that loads must load the same on all of them. Frozen weights stay as they are.
    """
    with _gathered(module, list(module.modules()), frozen=False):
        yield


@contextlib.contextmanager
def reachable(module: nn.Module) -> Iterator[None]:
    """Inside the block modules within ``module`` can be called by themselves, past its forward (to generate text).

    Blocks gather their own weights when they are called; what belongs to none is gathered here. All processes must
    enter and make the same calls. ``module`` must have computed something before.
    """
    inside = {inner for block in blocks(module) for inner in block.modules()}
    with _gathered(module, [inner for inner in module.modules() if inner not in inside], frozen=True):
        yield


@contextlib.contextmanager
def _gathered(module: nn.Module, owners: Sequence[nn.Module], *, frozen: bool) -> Iterator[None]:
    """Exchanges sharded parameters of ``owners`` for whole ones, and shares out at the end what has been changed."""
    if not is_sharded(module):
        yield
        return
    held = [
        (owner, name, p)
        for owner in owners
        for name, p in owner._parameters.items()  # noqa: SLF001 (nn.Module has no other way to exchange a parameter)
        if p is not None and isinstance(p, DTensor) and (frozen or p.requires_grad)
    ]
    gathered: dict[nn.Parameter, nn.Parameter] = {}  # tied weights stand in several places
    for _, _, p in held:
        if p not in gathered:
            gathered[p] = nn.Parameter(whole(p.detach()), requires_grad=p.requires_grad)
    for owner, name, p in held:
        owner._parameters[name] = gathered[p]  # noqa: SLF001
    # FSDP looks at its parameters after something was loaded, and would not find them
    hooks = {owner: owner._load_state_dict_post_hooks for owner, _, _ in held}  # noqa: SLF001
    for owner in hooks:
        owner._load_state_dict_post_hooks = OrderedDict()  # noqa: SLF001
    try:
        yield
    finally:
        for owner, own in hooks.items():
            owner._load_state_dict_post_hooks = own  # noqa: SLF001
        for owner, name, p in held:
            now = owner._parameters[name]  # noqa: SLF001
            owner._parameters[name] = p  # noqa: SLF001
            if now is not None and p.requires_grad:
                with torch.no_grad():
                    p.copy_(like(now.detach(), p))
