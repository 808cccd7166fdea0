"""Works off a job folder: part after part, skipping those that are there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .engine import Engine
from .files import JobFolder
from .probe import choose
from .strategies import STRATEGIES


def work_off(
    job: JobFolder,
    *,
    tell: Callable[[dict[str, Any]], None],
    share: tuple[int, int] = (0, 1),
    go_on: Callable[[], bool] = lambda: True,
    start: Callable[[Mapping[str, Any]], Engine] = Engine,
) -> None:
    """Scores (or completes) every part of this process's share that has not been yet.

    Args:
        job: the folder.
        tell: receives ``{"part": number}`` for each part that is done, and ``{"say": sentence}``.
        share: (i, n): parts i, i + n, ...
        go_on: asked before each part; work ends early when it says no.
        start: makes the engine; one that runs already may be handed in.
    """
    missing = job.missing(share)
    if not missing:
        return
    settings = job.settings()
    engine = start(settings["engine"])
    engine.use_adapter(settings["adapter"])
    if settings["task"] == "generate":
        _generate(job, engine, settings, missing, tell, go_on)
        return
    chosen = _strategy(job, engine, settings, missing[0], tell)
    strategy = STRATEGIES[chosen](engine)
    for part in missing:
        if not go_on():
            return
        began, sent, repeated = time.perf_counter(), strategy.sent, strategy.repeated
        rows = job.work(part)
        scores = strategy.score(rows)
        facts = {
            "vllm": engine.version,
            "strategy": chosen,
            "seconds": f"{time.perf_counter() - began:.6f}",
            "requests": str(strategy.sent - sent),
            "repeated": str(strategy.repeated - repeated),
        }
        tokens = [[len(title) for title in row.titles] for row in rows]
        job.write_part(part, {"row": [row.row for row in rows], "scores": scores, "tokens": tokens}, facts)
        tell({"part": part})


def _strategy(
    job: JobFolder, engine: Engine, settings: Mapping[str, Any], part: int, tell: Callable[[dict[str, Any]], None]
) -> str:
    """What an earlier start of this job chose, else what the probe finds."""
    try:
        return str(job.read_json("strategy.json")["strategy"])
    except FileNotFoundError:
        pass
    choice = choose(engine, job.work(part), settings["strategy"], settings["tolerance"])
    job.write_json("strategy.json", {"strategy": choice.strategy, "reason": choice.reason})
    tell({"say": f"strategy {choice.strategy}: {choice.reason}"})
    return choice.strategy


def _generate(
    job: JobFolder, engine: Engine, settings: Mapping[str, Any], parts: list[int],
    tell: Callable[[dict[str, Any]], None], go_on: Callable[[], bool],
) -> None:  # fmt: skip
    for part in parts:
        if not go_on():
            return
        rows = job.work(part)
        completions = engine.greedy([row.prompt for row in rows], settings["most_tokens"], settings["end"])
        job.write_part(part, {"row": [row.row for row in rows], "completion": completions}, {"vllm": engine.version})
        tell({"part": part})
