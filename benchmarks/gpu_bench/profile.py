"""Where the time of one step goes: its kernels, and how long the device waits. Knows torch's profiler."""

from __future__ import annotations

import time
from typing import Any

import torch
from step_bench.contestants import Contestant

from gpu_bench.report import Skipped
from polo_causal_lm.text import Encoded

TOP = 15


def profiled(side: Contestant, users: Encoded, device: str) -> dict[str, Any]:
    """The kernels with the most time, and the share of the step in which the device computes nothing."""
    side.step(users)
    side.step(users)
    gpu = device == "cuda"
    activities = [torch.profiler.ProfilerActivity.CPU]
    if gpu:
        activities.append(torch.profiler.ProfilerActivity.CUDA)
        torch.cuda.synchronize()
    with torch.profiler.profile(activities=activities) as seen:
        began = time.perf_counter()
        side.step(users)
        if gpu:
            torch.cuda.synchronize()
        wall = time.perf_counter() - began
    spans, kernels = [], {}
    for event in seen.events():
        on_device = event.device_type == torch.autograd.DeviceType.CUDA
        if on_device != gpu:
            continue
        start, stop = event.time_range.start, event.time_range.end
        count, total = kernels.get(event.name, (0, 0.0))
        kernels[event.name] = (count + 1, total + (stop - start))
        spans.append((start, stop))
    if not spans:
        raise Skipped("torch's profiler sees no kernel here")
    busy = _union(spans) / 1e6
    ordered = sorted(kernels.items(), key=lambda one: -one[1][1])
    inside = (max(stop for _, stop in spans) - min(start for start, _ in spans)) / 1e6
    return {
        "users": len(users), "wall_s": wall, "busy_s": busy, "idle_share": max(0.0, 1 - busy / max(wall, 1e-9)),
        "idle_share_between_kernels": max(0.0, 1 - busy / max(inside, 1e-9)),
        "kernels": sum(count for count, _ in kernels.values()),
        "top": [
            {"name": name[:160], "calls": count, "ms": total / 1e3, "share": total / 1e6 / max(busy, 1e-9)}
            for name, (count, total) in ordered[:TOP]
        ],
    }  # fmt: skip


def _union(spans: list[tuple[float, float]]) -> float:
    """Length of what intervals cover together.

    Example:
        >>> _union([(0, 2), (1, 3), (5, 6)])
        4
    """
    covered, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        covered += max(0, stop - max(start, end))
        end = max(end, stop)
    return covered
