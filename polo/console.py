"""What a running job says, on stderr or in a notebook: lines, and progress with an estimate.

Silent on all ranks but the first.
"""

from __future__ import annotations

import importlib
import sys
import time
import traceback
from collections.abc import Iterable, Iterator
from contextlib import nullcontext
from html import escape
from typing import Any, TypeVar

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

T = TypeVar("T")

#: seconds between progress lines where stderr is no terminal, and between two updates in a notebook
QUIET_SECONDS = 20.0
CELL_SECONDS = 0.5


def _clock(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02d}"


class Console:
    """Lines and progress bars; ``say`` and ``track`` are handed to components through their context.

    Args:
        silent: True on ranks that should not print.
        quiet: warnings alone.
        verbose: what looks for a fault or for lost time wants to know, too.
    """

    def __init__(self, *, silent: bool = False, quiet: bool = False, verbose: bool = False) -> None:
        self.silent, self.quiet, self.verbose = silent, quiet, verbose
        self.rich = RichConsole(stderr=True, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None

    def say(self, line: str, style: str = "") -> None:
        """Prints one line."""
        if not self.silent and not self.quiet:
            self.rich.print(line, style=style or None, markup=False)

    def detail(self, line: str) -> None:
        """Prints one line for who asked for all of them."""
        if self.verbose:
            self.say(line, "dim")

    def trace(self, error: BaseException) -> None:
        """Prints where an error comes from, for who asked for everything; that it came is told elsewhere."""
        if self.verbose:
            self.say("".join(traceback.format_exception(error)).rstrip(), "dim")

    def warn(self, line: str) -> None:
        """Prints one line that is not kept quiet."""
        if not self.silent:
            self.rich.print(f"warning: {line}", style="bold yellow", markup=False)

    def track(self, iterable: Iterable[T], total: int | None = None, label: str = "") -> Iterator[T]:
        """Yields from ``iterable`` and shows how far it is and how long the rest will take."""
        if total is None and hasattr(iterable, "__len__"):
            total = len(iterable)  # type: ignore[arg-type]
        if self.silent or self.quiet or not total:
            yield from iterable
        elif self.rich.is_jupyter:
            yield from self._cell(iterable, total, label)
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

    def _cell(self, iterable: Iterable[T], total: int, label: str) -> Iterator[T]:
        began = spoken = time.monotonic()
        display: Any = importlib.import_module("IPython.display").display  # there where rich found a notebook
        handle = display(_Bar(label, 0, total, 0.0), display_id=True)
        for done, value in enumerate(iterable, start=1):
            yield value
            now = time.monotonic()
            if now - spoken >= CELL_SECONDS or done == total:
                spoken = now
                handle.update(_Bar(label, done, total, now - began))

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


class _Bar:
    """How far something is, as a notebook shows it."""

    def __init__(self, label: str, done: int, total: int, seconds: float) -> None:
        self._label, self._done, self._total, self._seconds = label, done, total, seconds

    def __repr__(self) -> str:
        left = f", about {_clock(self._seconds / self._done * (self._total - self._done))} left" if self._done else ""
        ended = f" in {_clock(self._seconds)}" if self._done == self._total else left
        return f"{self._label}: {self._done:,} of {self._total:,}{ended}"

    def _repr_html_(self) -> str:
        return f"<progress max={self._total} value={self._done}></progress> {escape(repr(self))}"
