"""Who is told what a run does: trackers of the recipe, and events of plugins. Knows when, not what they make of it.

A tracker or a plugin that fails while it watches is named, and told nothing more: the run goes on without it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from polo.plugin.events import listened, tell
from polo.plugin.load import Plugins
from polo.protocols import Begins, Concludes, Tracker


class Watch:
    """Watchers of one run, on its first process.

    Args:
        plugins: whose events are called.
        trackers: name and tracker, as the recipe lists them.
        warn: is told in a line of what failed.
        trace: is given the error of it.
    """

    def __init__(
        self,
        plugins: Plugins,
        trackers: Sequence[tuple[str, Tracker]] = (),
        warn: Callable[[str], None] = print,
        trace: Callable[[BaseException], None] = lambda error: None,
    ) -> None:
        self._plugins, self._trackers, self._warn, self._trace = plugins, list(trackers), warn, trace

    def started(self, run: Path, recipe: Mapping[str, Any]) -> None:
        """The run begins, or goes on."""
        for name, tracker in self._living():
            if isinstance(tracker, Begins):
                self._try(name, tracker, partial(tracker.begin, run, recipe))
        self._tell("polo_run_started", {"run": run, "recipe": recipe})

    def line(self, stage: str, line: Mapping[str, Any]) -> None:
        """A line of metrics was written; where nobody listens, it is not looked at."""
        for name, tracker in self._living():
            self._try(name, tracker, partial(tracker.log, line))
        if listened(self._plugins.manager, "polo_step_ended"):
            self._tell("polo_step_ended", {"stage": stage, "step": line["step"], "metrics": line})

    def evaluated(self, run: Path, results: Mapping[str, Any]) -> None:
        """The evaluation ended."""
        for name, tracker in self._living():
            if isinstance(tracker, Concludes):
                self._try(name, tracker, partial(tracker.conclude, results))
        self._tell("polo_evaluated", {"run": run, "results": results})

    def ended(self, run: Path, error: BaseException | None) -> None:
        """The run ended, well or not: trackers are closed."""
        for name, tracker in self._living():
            self._try(name, tracker, tracker.close)
        self._trackers.clear()
        self._tell("polo_run_ended", {"run": run, "error": error})

    def _living(self) -> list[tuple[str, Tracker]]:
        return list(self._trackers)

    def _try(self, name: str, tracker: Tracker, call: Callable[[], None]) -> None:
        try:
            call()
        except (Exception, SystemExit) as error:  # what a library does when its server or its disk is gone
            self._trackers = [(other, one) for other, one in self._trackers if one is not tracker]
            what = " ".join(f"{type(error).__name__}: {error}".split())
            self._warn(f"tracker '{name}' failed, the run goes on without it: {what}")
            self._trace(error)

    def _tell(self, event: str, facts: Mapping[str, Any]) -> None:
        tell(self._plugins.manager, event, facts, self._warn, self._trace)
