"""The step at the sizes of Llama-3.2-1B on a CUDA device: bfloat16, V = 128k, random weights, k = 1, 5, 19.

Two comparisons for each k: the same users for both, and each at its best batch (users a second). Reports the share of
the device's own matrix-multiplication rate, and a profile of our step.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch

from step_bench.compare import Bench, race
from step_bench.contestants import NAIVE, OURS, Form
from step_bench.floor import shared_work
from step_bench.measure import machine
from step_bench.world import LLAMA_1B

KS = (1, 5, 19)
#: bfloat16 gradients of two exact forms differ by about 1e-2 of their length
GRADIENT_TOLERANCE = 5e-2
BATCHES = {"naive": (1, 2, 4, 8), "ours": (4, 8, 16, 32, 64)}


def matmul_rate(size: int = 8192, repeats: int = 20) -> float:
    """FLOP a second of a large bfloat16 product."""
    a = torch.randn(size, size, device="cuda", dtype=torch.bfloat16)
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    a @ a
    start.record()
    for _ in range(repeats):
        a @ a
    stop.record()
    torch.cuda.synchronize()
    return 2 * size**3 * repeats / (start.elapsed_time(stop) / 1e3)


def best(form: Form, k: int, batches: tuple[int, ...]) -> dict[str, float]:
    """Most users a second over the batches that fit."""
    found = {"users_per_s": 0.0, "users": 0.0}
    for users in batches:
        try:
            bench = Bench(LLAMA_1B, k, 1, "cuda", users)
            contestant = bench.contestant(form)
            bench.seconds(contestant, 3)
            rate = users / bench.seconds(contestant, 5)
        except torch.cuda.OutOfMemoryError:
            break
        if rate > found["users_per_s"]:
            found = {"users_per_s": rate, "users": float(users)}
    return found


def gpu(rounds: int, report: Path | None) -> int:
    """Runs all of it; 1 if gradients differ, 2 if there is no device."""
    if not torch.cuda.is_available():
        print("no CUDA device: nothing was run")
        return 2
    peak, status = matmul_rate(), 0
    out: dict[str, Any] = {"machine": machine(), "matmul_flops": peak, "k": {}}
    for k in KS:
        bench = Bench(LLAMA_1B, k, 1, "cuda")
        one = race(bench, rounds)
        work = 2 * shared_work(bench.users).forward(LLAMA_1B)
        sides = {name: best(form, k, BATCHES[name]) for name, form in (("naive", NAIVE), ("ours", OURS))}
        out["k"][str(k)] = one.figures() | {"share_of_matmul_rate": work / one.ours_s / peak, "best": sides}
        status |= int(one.dgrad > GRADIENT_TOLERANCE)
        gain = sides["ours"]["users_per_s"] / max(sides["naive"]["users_per_s"], 1e-9)
        print(f"k = {k}: {one.time}x at equal users, memory {one.memory:.1f}x, {gain:.1f}x each at its best, "
              f"{work / one.ours_s / peak:.0%} of the matmul rate, dgrad {one.dgrad:.1e}", flush=True)  # fmt: skip
    bench = Bench(LLAMA_1B, 5, 1, "cuda")
    contestant = bench.contestant(OURS)
    contestant.step(bench.users)
    with torch.profiler.profile(activities=list(torch.profiler.supported_activities())) as profile:
        contestant.step(bench.users)
    print(profile.key_averages().table(sort_by="cuda_time_total", row_limit=25))
    if report:
        report.write_text(json.dumps(out, indent=2) + "\n", encoding="utf-8")
    return status
