"""What it cost to come by a system: how many settings were tried, and CPU seconds. Knows accounts of runs.

A system that a sweep chose is a fair match only for one that was given as many trials: so a run that a sweep chose
keeps the sweep's trials beside its results, with what each of them cost, and comparisons print both.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from annotated_types import Ge
from typing_extensions import TypedDict

from polo.report.runs import Finished
from polo.store.cost import Cost, cpu_seconds, read_cost
from polo.store.files import write_json
from polo.store.shapes import read

#: name of the file in the folder of a run that a sweep chose
TUNING: Final = "tuning.json"


class Tuning(TypedDict):
    """``tuning.json``: the sweep that chose this run's settings.

    ``study`` tells sweeps apart, ``trials`` are all that were begun, ``costs`` what each cost (``null``: unknown).
    """

    study: str
    name: str
    metric: str
    space: list[str]
    trials: Annotated[int, Ge(1)]
    costs: list[Cost | None]


@dataclass(frozen=True)
class Budget:
    """What a system was given.

    Args:
        trials: settings that were tried before these were taken; 1 where nothing was tuned, or nothing tells so.
        cpu_seconds: of all these trials and of the runs at hand, stages that runs share counted once; ``None`` where a
            run does not say.
        sweeps: names of the sweeps.
    """

    trials: int
    cpu_seconds: float | None
    sweeps: tuple[str, ...] = ()

    def plain(self) -> dict[str, Any]:
        return {**asdict(self), "sweeps": list(self.sweeps)}

    def words(self) -> str:
        """In a few words.

        Example:
            >>> Budget(1, 75.4).words(), Budget(30, 7200.0).words(), Budget(2, None).words()
            ('1 trial, 75 CPU s', '30 trials, 2.0 CPU h', '2 trials, CPU time unknown')
        """
        trials = f"{self.trials} trial{'s' if self.trials != 1 else ''}"
        return f"{trials}, {_clock(self.cpu_seconds)}"


def _clock(seconds: float | None) -> str:
    if seconds is None:
        return "CPU time unknown"
    if seconds < 100:
        return f"{seconds:.0f} CPU s"
    return f"{seconds / 60:.0f} CPU min" if seconds < 6000 else f"{seconds / 3600:.1f} CPU h"


def write_tuning(run: Path, tuning: Tuning) -> None:
    """Keeps with a run which sweep chose its settings."""
    write_json(run / TUNING, tuning)


def read_tuning(run: Path) -> Tuning | None:
    """The sweep that chose a run's settings; ``None`` where none did.

    Raises:
        InputError: the file is damaged.
    """
    if not (run / TUNING).is_file():
        return None
    found: Tuning = read(run / TUNING, Tuning, fix="run the sweep's command again, which writes it anew")
    return found


def budget_of(runs: Sequence[Finished], system: str, model: str) -> Budget:
    """What a system of these runs was given.

    Args:
        runs: that are one system, such as seeds of one recipe.
        system: ``model``, a stage or a baseline, which is fitted without trials.
        model: what the last stage is called.
    """
    costs = [read_cost(run.path) for run in runs]
    stages = list(runs[0].recipe.get("stages", ()))
    if system != model and system not in stages:
        return Budget(1, _fitted(costs, system))
    tunings = {one["study"]: one for run in runs if (one := read_tuning(run.path)) is not None}
    trials = sum(one["trials"] for one in tunings.values())
    tried = [cost for one in tunings.values() for cost in one["costs"]]
    spent = cpu_seconds([*tried, *costs], None if system == model else system)
    return Budget(max(1, trials), spent, tuple(one["name"] for one in tunings.values()))


def _fitted(costs: Sequence[Cost | None], system: str) -> float | None:
    """CPU seconds of a baseline in all runs."""
    spent = [None if cost is None else cost["systems"].get(system) for cost in costs]
    known = [one["cpu_seconds"] for one in spent if one is not None]
    return sum(known) if known and len(known) == len(spent) else None
