"""Process time and peak memory of one call, and what machine it ran on. Knows Linux's /proc."""

from __future__ import annotations

import ctypes
import gc
import platform
import time
from collections.abc import Callable
from pathlib import Path

import torch

_LIBC = ctypes.CDLL("libc.so.6")
#: parameters of mallopt, from malloc.h
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4


def peak_megabytes(call: Callable[[], object], device: str = "cpu") -> float:
    """Peak memory of ``call`` above what was held before.

    On a CPU the resident peak, with the allocator giving large blocks back at once; what was freed before is given back
    first, so that it does not count as held. On a GPU the allocator's own peak.
    """
    gc.collect()
    if device.startswith("cuda"):
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        held = torch.cuda.memory_allocated()
        call()
        return (torch.cuda.max_memory_allocated() - held) / 2**20
    _LIBC.mallopt(_MMAP_MAX, 65536)
    _LIBC.malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # the peak starts from here
    held = _status("VmRSS")
    call()
    return (_status("VmHWM") - held) / 1024


def seconds(call: Callable[[], object], device: str = "cpu") -> float:
    """Process time of ``call``; on a GPU the time between two CUDA events.

    The allocator keeps what is freed: page faults for blocks that are asked for again and again would count against the
    form that asks for the larger ones, and how dear they are says more about the machine than about the form.
    """
    gc.collect()
    if device.startswith("cuda"):
        start, stop = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        torch.cuda.synchronize()
        start.record()
        call()
        stop.record()
        torch.cuda.synchronize()
        return start.elapsed_time(stop) / 1e3
    keep_freed()
    begin = time.process_time()
    call()
    return time.process_time() - begin


def keep_freed() -> None:
    """From now on the allocator gives nothing back to the system, and asks for no block by a mapping of its own."""
    _LIBC.mallopt(_MMAP_MAX, 0)
    _LIBC.mallopt(_TRIM_THRESHOLD, -1)  # never; any number would be an int, and the naive forms free more at once


def _status(name: str) -> int:
    """A field of /proc/self/status in kB."""
    for line in _lines("/proc/self/status"):
        if line.startswith(name + ":"):
            return int(line.split()[1])
    raise KeyError(name)


def _lines(path: str) -> list[str]:
    return Path(path).read_text(encoding="utf-8").splitlines()


def machine() -> dict[str, str]:
    """Processor and versions."""
    import peft
    import sklearn
    import transformers

    cpu = next(
        (text.split(":", 1)[1].strip() for text in _lines("/proc/cpuinfo") if text.startswith("model name")),
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
