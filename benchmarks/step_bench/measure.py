"""Process time and peak memory of one call, and what machine it ran on. Knows Linux's /proc."""

from __future__ import annotations

import ctypes
import gc
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch

T = TypeVar("T")
_LIBC = ctypes.CDLL("libc.so.6")


@dataclass(frozen=True)
class Cost:
    """Seconds of process time, and MB of peak memory above what was held before."""

    seconds: float
    megabytes: float


def measured(call: Callable[[], T], device: str = "cpu") -> tuple[T, Cost]:
    """Runs ``call`` once. On a GPU: CUDA events and the allocator's peak."""
    gc.collect()
    if device.startswith("cuda"):
        return _measured_cuda(call)
    _LIBC.malloc_trim(0)  # what was freed before must not count as held
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts from here
    held = _status("VmRSS")
    start = time.process_time()
    result = call()
    seconds = time.process_time() - start
    return result, Cost(seconds, (_status("VmHWM") - held) / 1024)


def _measured_cuda(call: Callable[[], T]) -> tuple[T, Cost]:
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    held = torch.cuda.memory_allocated()
    start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    torch.cuda.synchronize()
    start.record()
    result = call()
    stop.record()
    torch.cuda.synchronize()
    return result, Cost(start.elapsed_time(stop) / 1e3, (torch.cuda.max_memory_allocated() - held) / 2**20)


def _status(name: str) -> int:
    """A field of /proc/self/status in kB."""
    for line in Path("/proc/self/status").read_text(encoding="ascii").splitlines():
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def machine() -> dict[str, str]:
    """Processor and versions."""
    import peft
    import sklearn
    import transformers

    cpu = next(
        (line.split(":", 1)[1].strip() for line in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in line),
        platform.processor(),
    )
    return {
        "cpu": cpu,
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none (not run on a GPU)",
        "threads": str(torch.get_num_threads()),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "scikit-learn": sklearn.__version__,
    }
