"""Two processes give the gradient of one: DDP and FSDP2 around the module that is trained, over gloo on a CPU."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import fully_shard
from torch.multiprocessing.spawn import spawn

from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.split import Split, enable_split
from polo_causal_lm.loading import enable_checkpointing
from polo_causal_lm.module import CandidateScorer
from tests.polo_causal_lm.world import keep_float64, random_encoded, random_peft, take

WORLD, ROWS = 2, 4
CPU = torch.device("cpu")


def scorer(dtype: torch.dtype, checkpointing: bool = False) -> CandidateScorer:
    model = random_peft("llama", dtype)
    if dtype == torch.float64:
        keep_float64(model)
    enable_split(causal_lm(model))
    if checkpointing:
        enable_checkpointing(causal_lm(model))
        model.train()
    return CandidateScorer(model, Split())


def loss(scores: torch.Tensor) -> torch.Tensor:
    return -torch.log_softmax(scores / 10, dim=-1)[:, 0].sum()


def gradients(module: Any) -> dict[str, torch.Tensor]:
    """By parameter name, whole, whatever holds them."""
    found = {}
    for name, p in module.named_parameters():
        if p.grad is not None:
            grad = p.grad.full_tensor() if hasattr(p.grad, "full_tensor") else p.grad
            found[name.removeprefix("module.")] = grad.clone()
    return found


def step(module: Any, rank: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Every second row in two passes; gradients are averaged over processes, hence the factor."""
    encoded = random_encoded(21, ROWS, 4)
    own = [take(encoded, slice(b, b + 1)) for b in range(rank, ROWS, WORLD)]
    assert len(own) == 2
    scores = []
    for rows in own:
        scores.append(module(Split().layout(rows, CPU)))
        (loss(scores[-1]) * WORLD).backward()
    return torch.cat(scores).detach(), gradients(module)


def work(rank: int, folder: str) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=WORLD)
    try:
        results: dict[str, Any] = {"ddp": step(torch.nn.parallel.DistributedDataParallel(scorer(torch.float64)), rank)}
        mesh = init_device_mesh("cpu", (WORLD,))
        for name, dtype, checkpointing in (
            ("fsdp", torch.float64, False),
            ("fsdp float32", torch.float32, False),
            ("fsdp checkpointing", torch.float64, True),
        ):
            sharded = scorer(dtype, checkpointing)
            for layer in causal_lm(sharded.model).get_decoder().layers:
                fully_shard(layer, mesh=mesh)
            fully_shard(sharded, mesh=mesh)
            results[name] = step(sharded, rank)
        torch.save(results, Path(folder) / f"{rank}.pt")
    finally:
        dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    folder = tmp_path_factory.mktemp("processes")
    spawn(work, (str(folder),), nprocs=WORLD)
    return [torch.load(folder / f"{rank}.pt") for rank in range(WORLD)]


def expected(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """One process, all rows at once, the naive form on the model's own layers."""
    model = random_peft("llama", dtype)
    judge = CandidateScorer(keep_float64(model) if dtype == torch.float64 else model, Naive())
    loss(judge(Naive().layout(random_encoded(21, ROWS, 4), CPU))).backward()
    return gradients(judge)


@pytest.mark.parametrize(
    ("form", "dtype", "tolerance"),
    [
        ("ddp", torch.float64, 1e-12),
        ("fsdp", torch.float64, 1e-12),
        ("fsdp checkpointing", torch.float64, 1e-12),
        ("fsdp float32", torch.float32, 1e-5),
    ],
)
def test_two_processes_give_the_gradient_of_one(
    found: list[dict[str, Any]], form: str, dtype: torch.dtype, tolerance: float
) -> None:
    judged = expected(dtype)
    whole = torch.cat([g.flatten() for g in judged.values()])
    for rank in range(WORLD):
        grads = found[rank][form][1]
        assert list(grads) == list(judged)
        flat = torch.cat([g.flatten() for g in grads.values()])
        assert float((flat - whole).norm() / whole.norm()) < tolerance
