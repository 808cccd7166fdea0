"""Who is told what a run does, in which order, and what happens when a watcher fails."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from polo.plugin.load import Plugins, load_plugins
from polo.run.watching import Watch

RUN = Path("runs/x")
WATCHER = """
from polo import hookimpl
seen = []
@hookimpl
def polo_run_started(run, recipe): seen.append(("started", run, recipe))
@hookimpl
def polo_step_ended(stage, step, metrics):
    seen.append((stage, step, metrics))
    FAIL
@hookimpl
def polo_evaluated(results): seen.append(("evaluated", results))
@hookimpl
def polo_run_ended(error): seen.append(("ended", error))
"""


class Told:
    """A tracker that remembers, and fails at a call if it is told to."""

    def __init__(self, fails: str = "", error: BaseException | None = None) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self._fails, self._error = fails, error or OSError("disk full")

    def _note(self, *call: Any) -> None:
        self.calls.append(call)
        if call[0] == self._fails:
            raise self._error

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        self._note("begin", run, recipe)

    def log(self, metrics: Mapping[str, Any]) -> None:
        self._note("log", metrics)

    def conclude(self, results: Mapping[str, Any]) -> None:
        self._note("conclude", results)

    def close(self) -> None:
        self._note("close")


class Bare:
    """A tracker that takes lines alone."""

    def __init__(self) -> None:
        self.calls: list[str] = []

    def log(self, metrics: Mapping[str, Any]) -> None:
        self.calls.append("log")

    def close(self) -> None:
        self.calls.append("close")


def whole(watch: Watch) -> None:
    watch.started(RUN, {"seed": 1})
    watch.line("s", {"stage": "s", "step": 0})
    watch.line("s", {"stage": "s", "step": 1})
    watch.evaluated(RUN, {"rows": 2})
    watch.ended(RUN, None)


def watching(tmp_path: Path, fail: str = "pass") -> tuple[Plugins, list[Any]]:
    path = tmp_path / "watcher.py"
    path.write_text(WATCHER.replace("FAIL", fail))
    plugins = load_plugins(only=(), files=[path])
    return plugins, plugins.records[-1].resolve(":seen")


def test_everybody_is_told_everything_in_order(tmp_path: Path) -> None:
    plugins, seen = watching(tmp_path)
    tracker, bare, said = Told(), Bare(), []
    whole(Watch(plugins, [("told", tracker), ("bare", bare)], said.append))
    first, second = {"stage": "s", "step": 0}, {"stage": "s", "step": 1}
    assert tracker.calls == [
        ("begin", RUN, {"seed": 1}), ("log", first), ("log", second), ("conclude", {"rows": 2}), ("close",),
    ]  # fmt: skip
    assert bare.calls == ["log", "log", "close"]
    assert seen == [("started", RUN, {"seed": 1}), ("s", 0, first), ("s", 1, second), ("evaluated", {"rows": 2}),
                    ("ended", None)]  # fmt: skip
    assert said == []


@pytest.mark.parametrize("error", [OSError("disk\nfull"), SystemExit(3)])
@pytest.mark.parametrize(("fails", "calls"), [("begin", 1), ("log", 2), ("conclude", 4), ("close", 5)])
def test_a_tracker_that_fails_is_named_once_and_left_out(fails: str, calls: int, error: BaseException) -> None:
    broken, good, said = Told(fails, error), Told(), []
    whole(Watch(load_plugins(only=()), [("broken", broken), ("good", good)], said.append))
    assert len(broken.calls) == calls
    assert len(good.calls) == 5
    what = " ".join(f"{type(error).__name__}: {error}".split())
    assert said == [f"tracker 'broken' failed, the run goes on without it: {what}"]


def test_a_plugin_that_fails_while_it_watches_is_told_nothing_more(tmp_path: Path) -> None:
    plugins, seen = watching(tmp_path, "raise ValueError('no')")
    tracker, said = Told(), []
    whole(Watch(plugins, [("told", tracker)], said.append))
    assert [one[0] for one in seen] == ["started", "s"]
    assert len(tracker.calls) == 5
    (line,) = said
    assert "its hook polo_step_ended failed, it is told nothing more: ValueError: no" in line


def test_what_stops_a_run_is_not_kept_from_it() -> None:
    with pytest.raises(KeyboardInterrupt):
        whole(Watch(load_plugins(only=()), [("told", Told("log", KeyboardInterrupt()))], print))


class Untouchable(Mapping[str, Any]):
    """A line that must not be looked at."""

    def __getitem__(self, key: str) -> Any:
        raise AssertionError(f"read {key}")

    def __iter__(self) -> Any:
        raise AssertionError("gone through")

    def __len__(self) -> int:
        raise AssertionError("counted")

    def __bool__(self) -> bool:
        raise AssertionError("asked")


def test_law_where_nobody_listens_a_line_is_not_looked_at(tmp_path: Path) -> None:
    Watch(load_plugins(only=())).line("s", Untouchable())
    plugins, _ = watching(tmp_path)
    with pytest.raises(AssertionError, match="read step"):
        Watch(plugins).line("s", Untouchable())
