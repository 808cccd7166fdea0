"""Peak memory of each process while a base is loaded with ``--shard``: whole and then spread, or read in parts.

    python benchmarks/shard_memory.py [--processes 1 2 4] [--hidden 1024] [--layers 16] [--json FILE]

A LLaMA of random weights is written to a folder, then loaded in processes of their own (gloo, CPU) with LoRA adapters.
The peak is what the system counted as resident (VmHWM) beyond what the process had before it loaded anything; pages of
the weights' files count, although the system may take them back. A line for each way and number of processes.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import socket
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

WAYS = ("whole", "parts")


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--hidden", type=int, default=1024)
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--vocab", type=int, default=32000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        size = write_model(folder / "base", options.hidden, options.layers, options.vocab)
        print(f"weights {size / 2**20:,.0f} MiB; largest peak of a process beyond its start, MiB (share of weights)")
        found: dict[str, dict[str, int]] = {way: {} for way in WAYS}
        for processes in options.processes:
            for way in WAYS:
                if processes > 1 or way == "whole":
                    peak = max(peaks(folder, way, processes))
                    found[way][str(processes)] = peak
                    print(f"{processes} processes, {way:<5} {peak / 2**20:8,.0f}  ({peak / size:.2f})", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps({"weights": size, "peak": found}, indent=2) + "\n")


def write_model(folder: Path, hidden: int, layers: int, vocab: int) -> int:
    """A model with random weights in Hugging Face form; returns the bytes of its weights."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        hidden_size=hidden, intermediate_size=hidden * 11 // 4, num_hidden_layers=layers, vocab_size=vocab,
        num_attention_heads=max(1, hidden // 64), num_key_value_heads=max(1, hidden // 64), tie_word_embeddings=False,
    )  # fmt: skip
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(str(folder), max_shard_size="200MB")
    return sum(file.stat().st_size for file in folder.glob("*.safetensors"))


def peaks(folder: Path, way: str, processes: int) -> list[int]:
    """Bytes of each process."""
    from torch.multiprocessing.spawn import spawn

    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    spawn(_work, (str(folder), way, processes, port), nprocs=processes)
    return [int((folder / f"peak-{rank}").read_text()) for rank in range(processes)]


def _work(rank: int, place: str, way: str, processes: int, port: int) -> None:
    import torch
    import torch.distributed as dist
    from accelerate import Accelerator

    torch.set_num_threads(1)
    group = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in group.items()}
    accelerator = Accelerator(cpu=True)
    load(Path(place) / "warm", Path(place) / "base", way, accelerator, measured=Path(place) / f"peak-{rank}")
    if processes > 1:
        dist.barrier()
        dist.destroy_process_group()


def load(warm: Path, base: Path, way: str, accelerator: Any, measured: Path) -> Any:
    """The module as a run has it, spread over the processes if there are several; writes the peak to ``measured``.

    Args:
        warm: where a tiny model is made and loaded first, so that what libraries need once counts for nobody.
        base: folder of the model.
        way: ``whole`` or ``parts``.
        accelerator: knows the processes.
        measured: a file.
    """
    import torch

    from polo.model.sharding import spread
    from polo_causal_lm.hollow import Hollow
    from polo_causal_lm.loading import load_model
    from polo_causal_lm.options import CausalLMOptions
    from polo_causal_lm.weights import trained

    options = CausalLMOptions(base=str(base))

    def once(folder: Path) -> Any:
        again = partial(load_model, str(folder), torch.float32)
        hollow = Hollow(folder, torch.float32, None) if way == "parts" else None
        model = trained(options, again() if hollow is None else hollow.lm, again, None, seed=0).model
        if hollow is not None:
            hollow.settle(model)
        model = spread(model, accelerator, shard=accelerator.num_processes > 1)
        if hollow is not None:
            hollow.fill()
        return model

    if accelerator.is_main_process:
        write_model(warm, 64, 1, 64)
    accelerator.wait_for_everyone()
    once(warm)
    before = _resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    model = once(base)
    measured.write_text(str(_resident("VmHWM") - before))
    return model


def _resident(name: str) -> int:
    found = re.search(rf"{name}:\s+(\d+) kB", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1]) * 1024


if __name__ == "__main__":
    main()
