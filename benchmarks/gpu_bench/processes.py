"""Part ``two``: a run on two processes with a GPU each, all weights in both (DDP) and shared out (FSDP2)."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from typing import Any

import torch

from gpu_bench.families import POLICIES
from gpu_bench.report import Report, Skipped
from gpu_bench.runs import BOUNDARY, place, recipe


def part(report: Report) -> None:
    """Cells ``two/WAY``."""
    for way, words in (("one", []), ("ddp", ["--processes", "2"]), ("fsdp", ["--processes", "2", "--shard"])):
        report.cell(f"two/{way}", lambda words=words: ran(words, report))


def ran(words: list[str], report: Report) -> dict[str, Any]:
    """The hit ratio after a few steps, which is the same however many processes there are, and the seconds."""
    gpus = torch.cuda.device_count() if report.gpu else 0
    if gpus < 2:
        raise Skipped(f"two GPUs are needed, there {'is' if gpus == 1 else 'are'} {gpus or 'none'}")
    second = {"loss": "dmpo", "sampler": BOUNDARY, "beta": "dual_margin"}
    made = recipe("two", POLICIES["causal_lm"], {"first": {"loss": "sft"}, "second": second}, reference="first")
    with place() as folder:
        file = folder / "two.yaml"
        file.write_text(json.dumps({**made, "device": "cuda", "out": str(folder / "runs")}), encoding="utf-8")
        began = time.monotonic()
        ended = subprocess.run([sys.executable, "-m", "polo", "run", str(file), *words],
                               capture_output=True, text=True, check=False)  # fmt: skip
        if ended.returncode:
            raise RuntimeError(ended.stderr[-2000:])
        results = json.loads((folder / ended.stdout.splitlines()[-1] / "results.json").read_text("utf-8"))
        return {"s": time.monotonic() - began, "results": str(results)[:1500]}
