"""Device, precision and processes of a run, as recipe and machine have them. Knows accelerate; knows no model."""

from __future__ import annotations

import torch
from accelerate import Accelerator, PartialState
from accelerate.state import AcceleratorState
from accelerate.utils import DistributedDataParallelKwargs

from polo.errors import InputError
from polo.recipe.model import Recipe


def accelerator_of(recipe: Recipe) -> Accelerator:
    """Device and precision as the recipe says; raises InputError for a GPU that is not there."""
    gpu = torch.cuda.is_available()
    if recipe.device == "cuda" and not gpu:
        raise InputError(
            "the recipe asks for a GPU, torch sees none",
            where="device",
            fix="device=cpu, or install a CUDA build of torch",
        )
    cpu = recipe.device == "cpu" or not gpu
    precision = "no" if recipe.precision == "fp32" or (recipe.precision == "auto" and cpu) else "bf16"
    # buffers (rotary tables) are constants; sending them around would tie the number of passes of the ranks together
    ddp = DistributedDataParallelKwargs(broadcast_buffers=False)
    try:
        return Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[ddp])
    except ValueError:  # an earlier run of this process had another precision or device, which accelerate remembers
        if PartialState().num_processes > 1:
            raise
        AcceleratorState._reset_state(reset_partial_state=True)  # noqa: SLF001 - its own way to begin anew
        return Accelerator(cpu=cpu, mixed_precision=precision, kwargs_handlers=[ddp])
