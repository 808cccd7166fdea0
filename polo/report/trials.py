"""What a sweep tried, as facts: trials with their settings and values. Knows no library that searches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from polo.report.budget import Tuning
from polo.store.cost import Cost, cpu_seconds

#: a trial was evaluated, was given up on the way, could not be run, or is at work (or was when it was stopped)
DONE: Final = "done"
PRUNED: Final = "pruned"
FAILED: Final = "failed"
RUNNING: Final = "running"


@dataclass(frozen=True)
class Trial:
    """One trial.

    Args:
        number: from 0, in the order in which trials were begun.
        state: one of this module's words.
        value: of the metric on validation, for one that is done.
        last: the last measurement of a pruned one on its way.
        settings: dotted path -> value as the recipe writes it.
        run: name of its folder; empty before there is one.
        error: why it failed.
        cost: of its run.
    """

    number: int
    state: str
    value: float | None
    last: float | None
    settings: Mapping[str, str]
    run: str = ""
    error: str = ""
    cost: Cost | None = None

    @property
    def overrides(self) -> list[str]:
        """Its settings as words of a command line."""
        return [f"{path}={word}" for path, word in self.settings.items()]


@dataclass(frozen=True)
class Sweep:
    """All trials of one sweep.

    Args:
        study: tells sweeps apart; ``name``: of its folder.
        metric: what was compared, on validation.
        space: words of ``--set``; ``log``: paths whose ranges are by factors.
        sampler: how settings were chosen.
        trials: in the order of their numbers.
        importance: path -> share of what settings decide, largest first; empty where too few trials tell.
    """

    study: str
    name: str
    metric: str
    space: Sequence[str]
    log: Sequence[str]
    sampler: str
    trials: Sequence[Trial]
    importance: Mapping[str, float]

    @property
    def best(self) -> Trial | None:
        """The highest value; of equal ones the first."""
        done = [one for one in self.trials if one.value is not None]
        return max(done, key=lambda one: (one.value, -one.number), default=None)

    def ranked(self) -> list[Trial]:
        """Done ones from best to worst, then the others by number."""
        return sorted(self.trials, key=lambda one: (one.value is None, -(one.value or 0.0), one.number))

    def so_far(self) -> list[tuple[float, float]]:
        """(how many trials, the best value among them), for each that is done."""
        found, best = [], float("-inf")
        for one in self.trials:
            if one.value is not None:
                best = max(best, one.value)
                found.append((one.number + 1.0, best))
        return found

    def counts(self) -> dict[str, int]:
        """State -> how many trials, where there are any."""
        states = [one.state for one in self.trials]
        return {state: states.count(state) for state in (DONE, PRUNED, FAILED, RUNNING) if state in states}

    def cpu_seconds(self) -> float | None:
        """Of all trials, what they share counted once; ``None`` where one does not say."""
        return cpu_seconds(one.cost for one in self.trials if one.run)

    def plain(self) -> dict[str, Any]:
        """As ``polo sweep --json`` prints it."""
        trials = [{"number": one.number, "state": one.state, "value": one.value, "settings": dict(one.settings),
                   "run": one.run, "error": one.error} for one in self.trials]  # fmt: skip
        best = self.best
        return {
            "sweep": self.name, "metric": self.metric, "sampler": self.sampler, "counts": self.counts(),
            "cpu_seconds": self.cpu_seconds(), "importance": dict(self.importance), "trials": trials,
            "best": None if best is None else {"number": best.number, "overrides": best.overrides},
        }  # fmt: skip

    def tuning(self) -> Tuning:
        """What a run that this sweep chose keeps."""
        return {"study": self.study, "name": self.name, "metric": self.metric, "space": list(self.space),
                "trials": len(self.trials), "costs": [one.cost for one in self.trials if one.run]}  # fmt: skip
