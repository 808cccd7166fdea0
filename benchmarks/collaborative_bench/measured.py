"""One form measured in a process of its own, and two of them in turn. Knows clocks and memory; no form."""

from __future__ import annotations

import gc
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from step_bench.measure import keep_freed, peak_megabytes

#: what a process is told, so that it computes with one thread
THREADS = {
    "OMP_NUM_THREADS": "1",
    "MKL_NUM_THREADS": "1",
    "OPENBLAS_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


@dataclass(frozen=True)
class Figure:
    """Process seconds of the work, and MB at its peak above what the process held before the form was built."""

    seconds: float
    megabytes: float


def measured(build: Callable[[], Callable[[], Any]], memory: bool) -> Figure:
    """Builds and runs: for its memory (building counts), or for its time (it does not, and what is freed is kept)."""
    if memory:
        return Figure(0.0, peak_megabytes(lambda: build()()))
    work = build()
    keep_freed()
    gc.collect()
    start = time.process_time()
    work()
    return Figure(time.process_time() - start, 0.0)


def say(figure: Figure) -> None:
    """What a child prints last."""
    print(json.dumps(asdict(figure)))


def child(arguments: Sequence[str], timeout: float = 1800.0) -> Figure:
    """Runs this program with other arguments, or another interpreter's; its last line is a figure.

    Raises:
        RuntimeError: it failed; holds the end of what it printed.
    """
    environment = {**os.environ, **THREADS}
    ended = subprocess.run(
        [str(one) for one in arguments], capture_output=True, text=True, check=False, env=environment, timeout=timeout
    )
    if ended.returncode:
        raise RuntimeError(f"{' '.join(arguments)} ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return Figure(**json.loads(ended.stdout.splitlines()[-1]))


def program(*arguments: str) -> list[str]:
    """This program, with other arguments."""
    return [sys.executable, sys.argv[0], *arguments]


@dataclass(frozen=True)
class Compared:
    """Two forms: medians over the rounds; the ratio is the median of the rounds' ratios."""

    ours: Figure
    theirs: Figure
    time_ratio: float
    memory_ratio: float | None
    spread: tuple[float, float]


def interleaved(
    ours: Callable[[bool], Figure], theirs: Callable[[bool], Figure], rounds: int, shared_megabytes: float | None
) -> Compared:
    """Each round runs theirs, then ours; memory once each, in processes of their own.

    Args:
        ours, theirs: measure the memory (True) or the time of a form.
        rounds: how many.
        shared_megabytes: of weights and what the optimiser remembers of them, which are the same in both and are no
            part of the ratio; ``None``: memory is not compared.
    """
    times = [(theirs(False).seconds, ours(False).seconds) for _ in range(rounds)]
    ratios = [a / b for a, b in times]
    seconds = [statistics.median(column) for column in zip(*times, strict=True)]
    memory = None if shared_megabytes is None else (theirs(True).megabytes, ours(True).megabytes)
    held = (0.0, 0.0) if memory is None else (memory[0] - shared_megabytes, memory[1] - shared_megabytes)  # type: ignore[operator]
    return Compared(
        Figure(seconds[1], held[1]),
        Figure(seconds[0], held[0]),
        statistics.median(ratios),
        None if memory is None else held[0] / held[1],
        (min(ratios), max(ratios)),
    )


def line(says: tuple[str, str], found: Compared, agree: bool) -> Mapping[str, Any]:
    """A row of the report."""
    return {
        "work": says[0],
        "against": says[1],
        "time_ratio": found.time_ratio,
        "memory_ratio": found.memory_ratio,
        "agree": agree,
        "ours": asdict(found.ours),
        "theirs": asdict(found.theirs),
        "spread": found.spread,
    }
