"""What a running job says, on stderr: lines, and progress with an estimate. Silent on all ranks but the first."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from typing import Any, TypeVar

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

#: seconds between progress lines where stderr is no terminal
QUIET_SECONDS = 20.0


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Console:
    """Lines and progress bars; ``say`` and ``track`` are handed to components through their context.

    Args:
        silent: True on ranks that should not print.
    """

    def __init__(self, *, silent: bool = False) -> None:
        self.silent = silent
        self.rich = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None

    def say(self, line: str, style: str = "") -> None:
        """Prints one line."""
        if not self.silent:
            self.rich.print(line, style=style or None, markup=False)

    def track(self, iterable: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
        """Yields from ``iterable`` and shows how far it is and how long the rest will take."""
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)  # type: ignore[arg-type]
        if self.silent or not total:
            yield from iterable
        elif sys.stderr.isatty():
            yield from self._bar(iterable, total, label)
        else:
            yield from self._lines(iterable, total, label)

    def _bar(self, iterable: Iterable[T], total: int, label: str) -> Iterator[T]:
        nested = self._progress is not None
        progress = self._progress or Progress(
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(),
            TimeRemainingColumn(), TextColumn("{task.fields[note]}"), console=self.rich, transient=True,
        )  # fmt: skip
        context: Any = nullcontext(progress) if nested else progress
        self._progress = progress
        try:
            with context:
                task = progress.add_task(label, total=total, note="")
                for value in iterable:
                    yield value
                    progress.advance(task)
                progress.remove_task(task)
        finally:
            if not nested:
                self._progress = None

    def note(self, text: str) -> None:
        """Shows ``text`` behind the newest progress bar."""
        if self._progress is not None and self._progress.task_ids:
            self._progress.update(self._progress.task_ids[-1], note=text)

    def _lines(self, iterable: Iterable[T], total: int, label: str) -> Iterator[T]:
        start = spoken = time.monotonic()
        for done, value in enumerate(iterable, start=1):
            yield value
            now = time.monotonic()
            if now - spoken >= QUIET_SECONDS and done < total:
                spoken = now
                self.say(f"{label}: {done:,} of {total:,}, about {_clock((now - start) / done * (total - done))} left")
