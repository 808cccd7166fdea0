"""Random models at the sizes of real ones, made where they are used, and copies of them that share frozen weights."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import torch
import transformers
from step_bench.world import LLAMA_1B, Shape

from polo_causal_lm.loading import add_lora
from polo_causal_lm.options import LoraOptions

#: the rank of the adapters, as in the recipes
RANK = 8
LLAMA_8B = Shape("llama-8b", 4096, 14336, 32, 32, 8, 128, 128_256, {})
TOY = Shape("toy", 64, 128, 2, 4, 2, 16, 512, {})
#: the sizes of Llama-3.2-1B and Llama-3.1-8B
SHAPES = {shape.name: shape for shape in (replace(LLAMA_1B, users={}), LLAMA_8B)}


def random_base(shape: Shape, device: str, dtype: torch.dtype, seed: int = 0) -> Any:
    """A frozen model with normal weights, made on the device."""
    with torch.random.fork_rng(devices=[0] if device == "cuda" else []):
        torch.manual_seed(seed)
        with torch.device(device):
            lm = transformers.AutoModelForCausalLM.from_config(shape.config(), dtype=dtype)
    return lm.requires_grad_(False).eval()


def with_adapters(base: Any, seed: int, device: str) -> Any:
    """The base in a copy of its own, with adapters whose two factors are random. Frozen weights are those of ``base``.

    Layers are copied, since forms of a step put forwards of their own into them.
    """
    shared = copy.deepcopy(base, {id(weight): weight for weight in base.parameters()})
    model = add_lora(shared, LoraOptions(r=RANK, alpha=32.0, dropout=0.0)).to(device)
    generator = torch.Generator(device).manual_seed(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.requires_grad:
                parameter.normal_(0.0, 0.02, generator=generator)
    return model.train()


def weight_bytes(model: Any) -> int:
    """Of all weights, each once."""
    return sum(p.numel() * p.element_size() for p in {id(p): p for p in model.parameters()}.values())
