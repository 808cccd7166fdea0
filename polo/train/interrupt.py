"""Ctrl-C and SIGTERM while a stage trains: the step in progress is finished and saved. A second one stops at once."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupted(Exception):  # noqa: N818 - an event, not a fault
    """The user asked to stop and everything was saved; ``advice`` says how to go on."""

    def __init__(self, advice: str) -> None:
        self.advice = advice
        super().__init__(advice)


class Interrupt:
    """Context manager; ``requested`` turns True when a signal arrives inside the block."""

    def __init__(self) -> None:
        self.requested = False
        self._old: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        for number in SIGNALS:
            self._old[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
