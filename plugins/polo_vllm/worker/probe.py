"""Which strategy goes on: each scores a few rows, alone, with an empty cache. Knows time and agreement."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from .engine import Engine
from .files import Row
from .strategies import STRATEGIES

#: rows that the probe scores with each strategy, twice
ROWS = 4


@dataclass(frozen=True)
class Choice:
    """The strategy's name and one sentence why."""

    strategy: str
    reason: str


def choose(engine: Engine, rows: Sequence[Row], wanted: str, tolerance: float) -> Choice:
    """The strategy to use.

    Args:
        engine: adapters in place; may be restarted.
        rows: a few rows to try on.
        wanted: ``auto``, or the name of one.
        tolerance: largest difference between the two in nats.

    Raises:
        ValueError: if what is wanted cannot work with this engine.
    """
    # 0.32.0: punica_cpu.add_lora_logits has an index for each request, and a row for each prompt token.
    lame = engine.on_cpu and engine.has_adapter
    if lame and wanted == "prompt_logprobs":
        raise ValueError("on a CPU vLLM returns no prompt_logprobs with adapters: use strategy: trie, or lora: merge")
    if wanted != "auto":
        return Choice(wanted, "as the recipe says")
    if lame:
        return Choice("trie", "on a CPU vLLM returns no prompt_logprobs with adapters")
    rows = rows[:ROWS]
    seconds: dict[str, float] = {}
    scores: dict[str, list[list[float]]] = {}
    for name, make in STRATEGIES.items():
        try:
            for _ in range(2):  # the first pass also compiles and captures
                engine.forget()
                start = time.perf_counter()
                scores[name] = make(engine).score(rows)
                seconds[name] = time.perf_counter() - start
        except Exception as error:
            # Whatever an engine may throw: a strategy that fails here is not used, and the reason is told.
            if name == "trie":
                raise
            engine.restart()
            return Choice("trie", f"{name} fails here ({type(error).__name__}: {str(error).splitlines()[:1]})")
    worst = max(
        abs(a - b)
        for one, other in zip(scores["trie"], scores["prompt_logprobs"], strict=True)
        for a, b in zip(one, other, strict=True)
    )
    if worst > tolerance:
        return Choice("trie", f"prompt_logprobs differs from it by {worst:.2g} nats")
    best = min(seconds, key=lambda name: seconds[name])
    rates = ", ".join(f"{name} {len(rows) / took:.1f}" for name, took in seconds.items())
    return Choice(best, f"rows/s on {len(rows)} rows: {rates}; they differ by {worst:.2g} nats")
