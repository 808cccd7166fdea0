"""Works off a job folder: part after part, skipping those that are there already."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

from .engine import Engine
from .files import JobFolder, Row
from .probe import choose
from .strategies import STRATEGIES, Strategy

Tell = Callable[[dict[str, Any]], None]


class Worker:
    """An engine at work on one job.

    Args:
        job: the folder.
        tell: receives ``{"say": sentence}`` when there is something to say.
        start: makes the engine; one that runs already may be handed in.
    """

    def __init__(self, job: JobFolder, tell: Tell, start: Callable[[Mapping[str, Any]], Engine] = Engine) -> None:
        self._job, self._tell, self._settings = job, tell, job.settings()
        self._engine = start(self._settings["engine"])
        self._engine.use_adapter(self._settings["adapter"])
        self._strategy: Strategy | None = None

    def do(self, part: int) -> None:
        """Does the job's task for a part and writes what came out."""
        rows = self._job.work(part)
        do = {"score": self._score, "generate": self._complete, "choose": self._choose}[self._settings["task"]]
        columns, facts = do(rows)
        facts["vllm"] = self._engine.version
        self._job.write_part(part, {"row": [row.row for row in rows], **columns}, facts)

    def _score(self, rows: list[Row]) -> tuple[dict[str, list[Any]], dict[str, str]]:
        if self._strategy is None:
            self._strategy = STRATEGIES[self._chosen(rows)](self._engine)
        strategy = self._strategy
        began, sent, repeated = time.perf_counter(), strategy.sent, strategy.repeated
        scores = strategy.score(rows)
        facts = {
            "strategy": strategy.name,
            "seconds": f"{time.perf_counter() - began:.6f}",
            "requests": str(strategy.sent - sent),
            "repeated": str(strategy.repeated - repeated),
        }
        return {"scores": scores, "tokens": [[len(title) for title in row.titles] for row in rows]}, facts

    def _complete(self, rows: list[Row]) -> tuple[dict[str, list[Any]], dict[str, str]]:
        most, end = self._settings["most_tokens"], self._settings["end"]
        return {"completion": self._engine.greedy([row.prompt for row in rows], most, end)}, {}

    def _choose(self, rows: list[Row]) -> tuple[dict[str, list[Any]], dict[str, str]]:
        words = [list(row.words) for row in rows]
        found = self._engine.choose([row.prompt for row in rows], words, self._settings["most_tokens"])
        at = [own.index(text) if text in own else -1 for own, text in zip(words, found, strict=True)]
        return {"completion": at}, {}

    def _chosen(self, rows: list[Row]) -> str:
        """What an earlier start of this job chose, else what the probe finds."""
        try:
            return str(self._job.read_json("strategy.json")["strategy"])
        except FileNotFoundError:
            pass
        choice = choose(self._engine, rows, self._settings["strategy"], self._settings["tolerance"])
        self._job.write_json("strategy.json", {"strategy": choice.strategy, "reason": choice.reason})
        self._tell({"say": f"strategy {choice.strategy}: {choice.reason}"})
        return choice.strategy


def work_off(
    job: JobFolder,
    *,
    tell: Tell,
    share: tuple[int, int] = (0, 1),
    go_on: Callable[[], bool] = lambda: True,
    start: Callable[[Mapping[str, Any]], Engine] = Engine,
) -> None:
    """Does every part of this process's share that has not been done yet.

    Args:
        job: the folder.
        tell: receives ``{"part": number}`` for each part that is done, and ``{"say": sentence}``.
        share: (i, n): parts i, i + n, ...
        go_on: asked before each part; work ends early when it says no.
        start: makes the engine; it is not called when nothing is left to do.
    """
    missing = job.missing(share)
    if not missing:
        return
    worker = Worker(job, tell, start)
    for part in missing:
        if not go_on():
            return
        worker.do(part)
        tell({"part": part})
