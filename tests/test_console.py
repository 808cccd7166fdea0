"""What a job says: lines where no terminal is, each only so often; and more or less of it."""

from __future__ import annotations

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console as RichConsole

from polo import console as module
from polo.console import QUIET_SECONDS, Console


class Clock:
    """Seconds that pass when they are told to."""

    def __init__(self) -> None:
        self.now = 100.0

    def monotonic(self) -> float:
        return self.now


class Log(io.StringIO):
    """A stream that notes when something is written."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self.times: list[float] = []
        self._clock = clock

    def write(self, text: str) -> int:
        if text.strip():
            self.times.append(self._clock.now)
        return super().write(text)


@given(st.lists(st.floats(0, 70), min_size=1, max_size=30))
def test_law_a_log_gets_a_line_every_so_often_and_never_a_bar(steps: list[float]) -> None:
    clock = Clock()
    log = Log(clock)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        console = Console()
        console.rich = RichConsole(file=log, highlight=False, soft_wrap=True)
        seen = []
        for value in console.track(steps, label="train"):
            seen.append(value)
            clock.now += value
    assert seen == steps
    told = log.getvalue()
    assert not set(told) & set("\r\x1b\u2501")
    gaps = [later - sooner for sooner, later in zip([100.0, *log.times], log.times, strict=False)]
    assert all(gap >= QUIET_SECONDS for gap in gaps), "not more often"
    assert len(told.splitlines()) == len(log.times)
    waited = clock.now - 100.0
    assert len(log.times) <= waited / QUIET_SECONDS
    longest = max(steps)
    assert len(log.times) >= int((waited - steps[-1]) / (QUIET_SECONDS + longest)), "and not less"


def test_a_line_says_how_far_it_is_and_what_is_left(capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", clock)
        for _ in Console().track(range(4), label="scoring"):
            clock.now += 30
    # after 30 s one of four is done, so the other three take 90 s
    assert capsys.readouterr().err.splitlines() == [
        "scoring: 1 of 4, about 1:30 left",
        "scoring: 2 of 4, about 1:00 left",
        "scoring: 3 of 4, about 0:30 left",
    ]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, ["line", "warning: careful"]),
        ({"quiet": True}, ["warning: careful"]),
        ({"verbose": True}, ["line", "more", "warning: careful", "ValueError: why"]),
        ({"silent": True, "verbose": True}, []),
    ],
)
def test_more_and_less_is_said(capsys: pytest.CaptureFixture[str], options: dict[str, bool], said: list[str]) -> None:
    console = Console(**options)
    console.say("line")
    console.detail("more")
    console.warn("careful")
    console.trace(ValueError("why"))
    assert capsys.readouterr().err.splitlines() == said
