"""How time and memory of polo grow with the world: sizes that double, and the exponent that fits. Knows no other form.

    time ~ size^a      a = slope of log(figure) over log(size), least squares

An epoch has as many rows as there are users times what each took, so that 1 is proportional; an evaluation ranks every
item for every user, so that 2 is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from collaborative_bench.data import made
from collaborative_bench.measured import child, measured, program, say
from collaborative_bench.works import epoch_ours, evaluation_ours, toy

#: users, and items
DOUBLING = (12_500, 25_000, 50_000, 100_000)
#: training pairs of a user
EACH = 10


def measure_size(what: str, size: int) -> None:
    """In a process of its own: ``epoch`` or ``evaluation``, its time (or with ``-memory`` its memory)."""
    form = {"epoch": epoch_ours, "evaluation": evaluation_ours}[what.removesuffix("-memory")]
    form(toy())()
    world = made(size, size, EACH, seed=size)
    say(measured(lambda: form(world), what.endswith("-memory")))


def exponent(sizes: Sequence[float], figures: Sequence[float]) -> float:
    """The a of figure ~ size^a.

    Example:
        >>> round(exponent([1, 2, 4], [3, 12, 48]), 6)
        2.0
    """
    return float(np.polyfit(np.log(sizes), np.log(figures), 1)[0])


def growth(sizes: Sequence[int] = DOUBLING) -> Mapping[str, Any]:
    """Exponents, and what they were fitted to."""
    found: dict[str, list[float]] = {}
    for size in sizes:
        for what in ("epoch", "evaluation", "epoch-memory", "evaluation-memory"):
            figure = child(program("--child", "growth", what, str(size)), timeout=3600)
            found.setdefault(what, []).append(figure.seconds or figure.megabytes)
        print(
            f"{size:,} users x {size:,} items: " + ", ".join(f"{k} {v[-1]:.1f}" for k, v in found.items()), flush=True
        )
    return {
        "epoch_time": exponent(sizes, found["epoch"]),
        "evaluation_time": exponent(sizes, found["evaluation"]),
        "memory": exponent(sizes, found["epoch-memory"]),
        "evaluation_memory": exponent(sizes, found["evaluation-memory"]),
        "sizes": list(sizes),
        "figures": found,
    }
