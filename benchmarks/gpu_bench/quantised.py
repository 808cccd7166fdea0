"""Part ``nf4``: our step over a frozen base in four bits (NF4, by bitsandbytes), beside bfloat16."""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import torch
from step_bench.measure import peak_megabytes
from torch import nn

from gpu_bench.models import RANK, SHAPES, random_base, weight_bytes, with_adapters
from gpu_bench.report import Report, Skipped
from gpu_bench.steps import World, forms

K, USERS = 5, 8


def part(report: Report) -> None:
    """The cell ``nf4/SHAPE``."""
    report.cell("nf4/llama-1b", lambda: quantised(report))


def quantised(report: Report) -> dict[str, Any]:
    """Seconds and memory of a step, in four bits and in sixteen."""
    if find_spec("bitsandbytes") is None:
        raise Skipped("bitsandbytes is not installed")
    if not report.gpu or report.toy:
        raise Skipped("four bits are measured on a GPU at full size")
    shape = SHAPES["llama-1b"]
    base = random_base(shape, report.device, torch.bfloat16)
    found: dict[str, Any] = {"k": K, "users": USERS, "rank": RANK}
    for name in ("bfloat16", "nf4"):
        if name == "nf4":
            _quantise(base)
        world = World(base, shape, K, report.device, USERS)
        side = world.contestant(forms()[1], with_adapters(base, 1, report.device))
        world.seconds(side, USERS)
        found[name] = {
            "s": world.seconds(side, USERS, 3),
            "mb": peak_megabytes(lambda side=side, world=world: side.step(world.users(USERS)), report.device),
            "model_mb": weight_bytes(side.model) / 2**20,
        }
    return found


def _quantise(model: Any) -> None:
    """Puts NF4 layers in the place of all linear layers but the head."""
    from bitsandbytes.nn import Linear4bit

    for name, layer in list(model.named_modules()):
        if type(layer) is not nn.Linear or name == "lm_head":
            continue
        small = Linear4bit(layer.in_features, layer.out_features, bias=False, quant_type="nf4",
                           compute_dtype=torch.bfloat16)  # fmt: skip
        small.load_state_dict({"weight": layer.weight.data.cpu()})
        parent, _, last = name.rpartition(".")
        setattr(model.get_submodule(parent), last, small.to(layer.weight.device).requires_grad_(False))
