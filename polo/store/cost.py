"""What a run cost: CPU seconds and seconds of the clock, part by part, kept in the run's folder as ``cost.json``.

Knows clocks and parts by their names. Parts: ``start`` (data, policy, what the stages are made from), each stage, and
``evaluation`` with each system in it. A stage that was trained by another run and taken from the cache brings along
what it cost there, so a number never looks cheaper than it was; a base that was made earlier is not counted.

CPU seconds are user and system time of the process and of the programs that it started and waited for (times(2)); where
several processes share a run, the first one's times their number. Work of a GPU is in the seconds of the clock alone.
What a killed process did after its last measurement is lost.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NotRequired

from typing_extensions import TypedDict

from polo.errors import InputError
from polo.store.files import write_json
from polo.store.shapes import read

#: name of the file, in a run and in each of its stages
COST = "cost.json"


class Spent(TypedDict):
    """CPU seconds over all processes, and seconds of the clock."""

    cpu_seconds: float
    seconds: float


class StageCost(Spent):
    """Of a stage, with the fingerprint under which runs share it."""

    fingerprint: str


class Cost(TypedDict):
    """``cost.json`` of a run. A stage is ``null`` where the run that trained it did not say."""

    start: NotRequired[Spent]
    stages: Mapping[str, StageCost | None]
    evaluation: NotRequired[Spent]
    systems: Mapping[str, Spent]


def _now(processes: int) -> Spent:
    used = os.times()
    cpu = used.user + used.system + used.children_user + used.children_system
    return {"cpu_seconds": cpu * processes, "seconds": time.monotonic()}


_NOTHING: Spent = {"cpu_seconds": 0.0, "seconds": 0.0}


def _added(a: Spent | None, b: Spent, sign: int = 1) -> Spent:
    a = a or _NOTHING
    return {
        "cpu_seconds": round(a["cpu_seconds"] + sign * b["cpu_seconds"], 3),
        "seconds": round(a["seconds"] + sign * b["seconds"], 3),
    }


@dataclass
class _Open:
    """A part that costs at this moment; what it has cost until ``since`` is in the account."""

    name: str
    since: Spent
    fingerprint: str
    system: bool


@dataclass
class Ledger:
    """Adds up what the parts of one run cost; a run that goes on adds to what is there.

    Args:
        folder: of the run; ``None`` keeps nothing.
        processes: that share the run.
        say: is told in a line what a part cost, when it ends.

    Example:
        >>> ledger = Ledger(None)
        >>> with ledger.part("start"):
        ...     _ = sum(range(1000))
        >>> sorted(ledger.cost["start"])
        ['cpu_seconds', 'seconds']
    """

    folder: Path | None
    processes: int = 1
    say: Callable[[str], None] = lambda line: None
    cost: Cost = field(init=False)
    _open: list[_Open] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.cost = {"stages": {}, "systems": {}}
        if self.folder is not None and (self.folder / COST).is_file():
            with contextlib.suppress(InputError):  # a damaged account is begun anew; it decides nothing
                self.cost = read(self.folder / COST, Cost, fix="")

    def moved(self, folder: Path) -> Ledger:
        """The ledger of a folder, with what was spent before there was one."""
        there = Ledger(folder, self.processes, self.say)
        there.cost["start"] = _added(there.cost.get("start"), self.cost.get("start", _NOTHING))
        return there

    @contextlib.contextmanager
    def part(self, name: str, *, fingerprint: str = "", system: bool = False) -> Iterator[None]:
        """What the block costs is added to a part, also when the block raises.

        Args:
            name: ``start``, ``evaluation``, or that of a stage or system.
            fingerprint: of a stage.
            system: it is a system of the evaluation.
        """
        began = _now(self.processes)
        one = _Open(name, began, fingerprint, system)
        self._open.append(one)
        try:
            yield
        finally:
            self.tick()
            self._open.pop()
            spent = _added(one.since, began, -1)
            self.say(f"{name} took {spent['seconds']:.1f} s ({spent['cpu_seconds']:.1f} s of CPU)")

    def tick(self) -> None:
        """Adds what the newest open part has cost so far, and writes everything down."""
        one = self._open[-1]
        now = _now(self.processes)
        more = _added(now, one.since, -1)
        one.since = now
        if one.system:
            self.cost["systems"] = {
                **self.cost["systems"], one.name: _added(self.cost["systems"].get(one.name), more)
            }  # fmt: skip
        elif one.fingerprint:
            known = self.stage(one.name)
            if known is not None and known["fingerprint"] != one.fingerprint:
                known = None  # another stage stood under this name
            sum_ = _added(known, more)
            self.cost["stages"] = {**self.cost["stages"], one.name: {**sum_, "fingerprint": one.fingerprint}}
        elif one.name == "start":
            self.cost["start"] = _added(self.cost.get("start"), more)
        else:
            self.cost["evaluation"] = _added(self.cost.get("evaluation"), more)
        self._write()

    def stage(self, name: str) -> StageCost | None:
        """What a stage has cost so far."""
        return self.cost["stages"].get(name)

    def taken(self, name: str, found: StageCost | None) -> None:
        """A stage is there already, at the cost that its folder tells."""
        self.cost["stages"] = {**self.cost["stages"], name: found}
        self._write()

    def _write(self) -> None:
        if self.folder is not None:
            write_json(self.folder / COST, self.cost)


def read_stage_cost(folder: Path) -> StageCost | None:
    """What a stage's folder says that it cost; ``None`` where it does not say."""
    try:
        found: StageCost = read(folder / COST, StageCost, fix="")
    except InputError:
        return None
    return found


def read_cost(run: Path) -> Cost | None:
    """What a run cost; ``None`` where it does not say, as runs made before there were accounts.

    Raises:
        InputError: the file is damaged.
    """
    if not (run / COST).is_file():
        return None
    found: Cost = read(run / COST, Cost, fix="remove it; the cost of this run is unknown then")
    return found


def cpu_seconds(runs: Iterable[Cost | None], upto: str | None = None) -> float | None:
    """CPU seconds of several runs together, a stage that they share counted once; ``None`` if one does not say.

    Args:
        upto: count no stage behind this one, nor the evaluation.

    Example:
        >>> stage = {"cpu_seconds": 10.0, "seconds": 1.0, "fingerprint": "f"}
        >>> start = {"cpu_seconds": 1.0, "seconds": 1.0}
        >>> one = {"start": start, "stages": {"sft": stage}, "systems": {}}
        >>> cpu_seconds([one, one])
        12.0
    """
    total, stages = 0.0, {}
    for cost in runs:
        if cost is None:
            return None
        total += cost["start"]["cpu_seconds"] if "start" in cost else 0.0
        if upto is None and "evaluation" in cost:
            total += cost["evaluation"]["cpu_seconds"]
        for name, stage in cost["stages"].items():
            if stage is None:
                return None
            stages[stage["fingerprint"]] = stage["cpu_seconds"]
            if name == upto:
                break
    return total + sum(stages.values())
