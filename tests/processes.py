"""Real processes of one torch group on this machine's CPU, for what several processes compute together."""

from __future__ import annotations

import gc
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist
from accelerate import Accelerator
from torch.multiprocessing.spawn import spawn

Compute = Callable[[Accelerator, Path], Any]


def together(compute: Compute, folder: Path, world: int) -> list[Any]:
    """What ``compute(accelerator, folder)`` gives on each of ``world`` processes; a function that can be imported."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_work, (compute, str(folder), world, port), nprocs=world)
    return [torch.load(folder / f"{rank}.pt") for rank in range(world)]


def _work(rank: int, compute: Compute, folder: str, world: int, port: int) -> None:
    torch.set_num_threads(1)
    group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": world, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in group.items()}
    accelerator = Accelerator(cpu=True)
    try:
        torch.save(compute(accelerator, Path(folder)), Path(folder) / f"{rank}.pt")
        gc.collect()  # what holds the group's threads goes before the group
        dist.barrier()
    finally:
        dist.destroy_process_group()
