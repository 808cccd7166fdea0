"""A model whose base has shapes but no weights yet, and each process's part of them, read from where they lie.

So that weights which are spread over processes are never whole in one of them: the model is made without weights, it is
spread, and then every process reads its slices of the safetensors files. Knows models and files; knows no data.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from accelerate import init_empty_weights
from safetensors import safe_open
from torch import Tensor, nn
from torch.distributed.tensor import DTensor, Shard
from transformers import AutoConfig, AutoModelForCausalLM, GenerationConfig

from polo import Context, PoloError
from polo_causal_lm.loading import attention_of
from polo_causal_lm.options import CausalLMOptions
from polo_causal_lm.quiet import quiet

_INDEX, _ONE = "model.safetensors.index.json", "model.safetensors"


def why_whole(options: CausalLMOptions, folder: Path) -> str:
    """Why the base cannot be read in parts; empty if it can."""
    if options.quantise != "none":
        return "it is quantised"
    if options.trust_remote_code:
        return "its code is its own"
    if options.compile:
        return "its layers are compiled"
    if options.lora != "none" and (options.lora.dora or options.lora.modules_to_save):
        return "its adapters are made of its weights"
    config = AutoConfig.from_pretrained(str(folder))
    with init_empty_weights(include_buffers=False), quiet():
        lm = AutoModelForCausalLM.from_config(config)
    lm.tie_weights()
    shapes = _shapes(folder)
    wanted = {name: tuple(p.shape) for name, p in lm.named_parameters()}
    odd = [name for name, shape in wanted.items() if shapes.get(name) != shape]
    return f"its files hold no {odd[0]} of shape {list(wanted[odd[0]])}" if odd else ""


def hollow_of(options: CausalLMOptions, context: Context, folder: Path, dtype: torch.dtype) -> Hollow | None:
    """The base without weights, if they are to be spread over processes and can be read in parts; else ``None``.

    Args:
        options: of the policy.
        context: says whether weights will be spread.
        folder: of the base.
        dtype: of its weights.
    """
    if not context.shard:
        return None
    attention = attention_of(str(folder), trusted=options.trust_remote_code)
    if why := why_whole(options, folder):
        context.say(f"warning: every process reads the whole base before its weights are spread, since {why}")
        return None
    if options.self_check:
        context.say("base and engine are not checked at the start, since no process has all weights (--shard)")
    return Hollow(folder, dtype, attention)


class Hollow:
    """A causal LM without weights.

    Args:
        folder: holds config and weights.
        dtype: of the weights.
        attention: what computes attention; ``None`` for the model's default.

    Attributes:
        lm: the model, in evaluation mode. Its parameters take no memory: all their values lie in one number.
    """

    def __init__(self, folder: Path, dtype: torch.dtype, attention: str | None) -> None:
        self._folder, self._dtype = folder, dtype
        config = AutoConfig.from_pretrained(str(folder))
        more = {} if attention is None else {"attn_implementation": attention}
        with init_empty_weights(include_buffers=False), quiet():
            self.lm: Any = AutoModelForCausalLM.from_config(config, dtype=dtype, **more)
        self.lm.tie_weights()
        self.lm.eval()
        if (folder / "generation_config.json").is_file():
            self.lm.generation_config = GenerationConfig.from_pretrained(str(folder))
        #: whatever is made of the model takes these for weights, on the device where adapters are made
        self._names: dict[nn.Parameter, str] = {}
        made = {p: nn.Parameter(torch.zeros(1, dtype=dtype).expand(p.shape)) for p in self.lm.parameters()}
        for owner, name, p in _owners(self.lm):
            owner._parameters[name] = made[p]  # noqa: SLF001 (nn.Module has no other way to exchange a parameter)
        self._names = {p: name for name, p in self.lm.named_parameters()}

    def settle(self, module: nn.Module) -> None:
        """The base's parameters in ``module`` lose even that number, as FSDP wants them before it spreads them."""
        gone = {
            p: nn.Parameter(torch.empty(p.shape, dtype=p.dtype, device="meta"), requires_grad=p.requires_grad)
            for p in self._names
        }
        for owner, name, p in _owners(module):
            if p in gone:
                owner._parameters[name] = gone[p]  # noqa: SLF001
        self._keys = {id(new): self._names[old] for old, new in gone.items()}
        self._places = [(owner, name, self._keys[id(p)]) for owner, name, p in _owners(module) if id(p) in self._keys]

    def fill(self) -> None:
        """Reads this process's part of every weight into the module, which has been spread."""
        made: dict[str, nn.Parameter] = {}
        files = _files(self._folder)
        for owner, name, key in self._places:
            if key not in made:
                # opened anew for each: pages of an open file that were read count as this process's memory
                with safe_open(self._folder / files[key], framework="pt") as file:
                    made[key] = self._part(owner._parameters[name], key, file.get_slice(key))  # noqa: SLF001
            owner._parameters[name] = made[key]  # noqa: SLF001

    def _part(self, p: Any, key: str, values: Any) -> nn.Parameter:
        if not (isinstance(p, DTensor) and p.placements == (Shard(0),)):
            raise PoloError(f"{key} is not spread over the processes", where="--shard", fix="report this")
        n, each = p.shape[0], -(-p.shape[0] // p.device_mesh.size())
        begin = min(p.device_mesh.get_local_rank() * each, n)
        part: Tensor = values[begin : min(begin + each, n)]
        device = torch.device(p.device_mesh.device_type)
        local = part.to(device=device, dtype=self._dtype, copy=True)
        spread = DTensor.from_local(
            local, p.device_mesh, p.placements, run_check=False, shape=p.shape, stride=p.stride()
        )
        return nn.Parameter(spread, requires_grad=p.requires_grad)


def _owners(module: nn.Module) -> Iterator[tuple[nn.Module, str, nn.Parameter]]:
    """Every place of every parameter; tied weights stand in several."""
    for owner in module.modules():
        for name, p in list(owner._parameters.items()):  # noqa: SLF001
            if p is not None:
                yield owner, name, p


def _files(folder: Path) -> dict[str, str]:
    """Weight -> name of the file that holds it."""
    if (folder / _INDEX).is_file():
        listed: dict[str, str] = json.loads((folder / _INDEX).read_text("utf-8"))["weight_map"]
        return listed
    with safe_open(folder / _ONE, framework="pt") as file:
        return dict.fromkeys(file.keys(), _ONE)


def _shapes(folder: Path) -> dict[str, tuple[int, ...]]:
    found: dict[str, tuple[int, ...]] = {}
    for file in sorted(set(_files(folder).values())):
        with safe_open(folder / file, framework="pt") as opened:
            found |= {name: tuple(opened.get_slice(name).get_shape()) for name in opened.keys()}  # noqa: SIM118
    return found
