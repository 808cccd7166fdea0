"""Several runs side by side: who is better, by how much, and whether that is chance.

Knows values of rows, users and protocols. Knows no file (``polo.report.runs`` reads) and no terminal.

Seeds of one recipe are one system: its figure is the mean over its seeds, and intervals and tests are over users and
seeds together (``polo.evaluate.seeds``). Where two systems have the same seeds these are compared seed by seed. With
one seed nothing is known of others, and an interval speaks of users alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from polo.data import FloatArray
from polo.errors import InputError
from polo.evaluate.metrics import MODEL
from polo.evaluate.seeds import interval_over_seeds, paired_over_seeds
from polo.evaluate.significance import Paired, holm
from polo.report.budget import Budget, budget_of
from polo.report.runs import Finished

#: keys of a recipe that make no other method: a seed, names, places, what only says how it is computed, and what the
#: protocol says
_NO_METHOD = ("seed", "name", "out", "trackers", "device", "plugins", "requires", "evaluate", "candidates")


@dataclass(frozen=True)
class Contender:
    """What is compared: a system of one run, or of several runs that differ in the seed alone."""

    name: str
    runs: tuple[Finished, ...]
    system: str

    @property
    def seeds(self) -> tuple[Any, ...]:
        """The seed of each run."""
        return tuple(run.recipe.get("seed") for run in self.runs)

    def values(self, metric: str) -> FloatArray:
        """``[S, N]`` a row for each run."""
        return np.stack([run.values[self.system][metric] for run in self.runs])

    def budget(self) -> Budget:
        """What it cost to come by it."""
        return budget_of(self.runs, self.system, MODEL)


@dataclass(frozen=True)
class Line:
    """One contender's figure, and what it adds to the first one.

    Args:
        seeds: how many runs are pooled; ``spread`` is the standard deviation of their means (``None`` with one).
        low, high: 95 % interval over users and seeds.
        difference, difference_low, difference_high: to the first contender; ``None`` for itself.
        p: of the sign-flip test clustered by user; ``p_holm``: adjusted for all tests of this table and metric.
    """

    name: str
    metric: str
    seeds: int
    value: float
    low: float
    high: float
    spread: float | None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None
    p_holm: float | None = None

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def same_protocol(runs: Sequence[Finished]) -> None:
    """Refuses runs whose numbers cannot be compared.

    Raises:
        InputError: names the fields in which the protocols differ, with both values.
    """
    first = runs[0]
    for other in runs[1:]:
        fields = [name for name in {**first.protocol, **other.protocol} if name not in ("hash", "fingerprint", "lists")]
        differing = [name for name in fields if first.protocol.get(name) != other.protocol.get(name)]
        # hashes say that something differs, not what: named only where nothing else is
        differing = differing or [n for n in ("fingerprint", "lists") if first.protocol.get(n) != other.protocol.get(n)]
        if differing or not np.array_equal(first.rows, other.rows):
            said = [f"{n}: {first.protocol.get(n)!r} and {other.protocol.get(n)!r}" for n in differing] or [
                "other rows"
            ]
            raise InputError(
                f"the runs were evaluated under different protocols; they differ in {'; '.join(said)}",
                where=f"{first.path.name} and {other.path.name}",
                fix="give both recipes the same data, candidates, evaluate.split and evaluate.rows",
            )


def method(run: Finished) -> str:
    """What makes runs seeds of one recipe: everything in it but the seed, names and places, as text."""
    tree = {key: value for key, value in run.recipe.items() if key not in _NO_METHOD}
    return json.dumps({"name": run.name, **tree}, sort_keys=True, default=str)


def contenders(runs: Sequence[Finished]) -> list[Contender]:
    """Runs in the order given, seeds of one recipe together; names are made different by the folder's name."""
    groups: dict[str, list[Finished]] = {}
    for run in runs:
        groups.setdefault(method(run), []).append(run)
    names = [group[0].name for group in groups.values()]
    found = []
    for group in groups.values():
        seeds = Contender("", tuple(group), MODEL).seeds
        if len(set(seeds)) < len(seeds):
            raise InputError(
                f"these are runs of one recipe with one seed ({seeds[0]}): the same run twice, or one repeated",
                where=", ".join(run.path.name for run in group),
                fix="give one of them, or runs with different seeds (polo run RECIPE seed=1)",
            )
        name = group[0].name if names.count(group[0].name) == 1 else group[0].path.name
        found.append(Contender(name, tuple(group), MODEL))
    return found


def with_baselines(found: Sequence[Contender], names: Sequence[str]) -> list[Contender]:
    """The contenders, after systems of the first one's runs such as ``markov`` or ``sft``.

    Raises:
        InputError: a run has no such system.
    """
    runs = found[0].runs
    for name in names:
        for run in runs:
            if name not in run.values:
                raise InputError(f"no system {name!r} in this run", where=run.path.name,
                                 fix=f"systems there: {', '.join(run.values)}")  # fmt: skip
    return [Contender(name, runs, name) for name in names] + list(found)


def metrics_of(found: Sequence[Contender]) -> list[str]:
    """Metrics that all contenders have, in the order of the first."""
    every = [set(run.values[c.system]) for c in found for run in c.runs]
    first = found[0]
    return [name for name in first.runs[0].values[first.system] if all(name in have for have in every)]


def compare(found: Sequence[Contender], metrics: Sequence[str]) -> list[Line]:
    """All contenders by all metrics; each but the first is tested against the first, Holm-corrected within a metric.

    Raises:
        InputError: a metric that not all contenders have.
    """
    known = metrics_of(found)
    for metric in metrics:
        if metric not in known:
            raise InputError(
                f"not all runs have the metric {metric!r}", where="--metric", fix=f"known: {', '.join(known)}"
            )
    return [line for metric in metrics for line in _table(found, metric)]


def _table(found: Sequence[Contender], metric: str) -> list[Line]:
    users = found[0].runs[0].users
    tests = [difference(contender, found[0], metric) for contender in found[1:]]
    adjusted = holm([test.p for test in tests]) if tests else []
    lines = []
    for index, contender in enumerate(found):
        values = contender.values(metric)
        value, low, high = interval_over_seeds(values, users)
        spread = float(np.std(values.mean(axis=1), ddof=1)) if len(values) > 1 else None
        line = Line(contender.name, metric, len(values), value, low, high, spread)
        if index:
            test = tests[index - 1]
            line = Line(contender.name, metric, len(values), value, low, high, spread,
                        test.difference, test.low, test.high, test.p, adjusted[index - 1])  # fmt: skip
        lines.append(line)
    return lines


def difference(a: Contender, b: Contender, metric: str) -> Paired:
    """How much better a is than b; the same seeds are compared seed by seed."""
    matched = len(a.runs) > 1 and sorted(map(str, a.seeds)) == sorted(map(str, b.seeds))
    if matched:
        a, b = (Contender(c.name, tuple(sorted(c.runs, key=_seed)), c.system) for c in (a, b))
    return paired_over_seeds(a.values(metric), b.values(metric), a.runs[0].users, matched=matched)


def _seed(run: Finished) -> str:
    return str(run.recipe.get("seed"))


def plain(found: Sequence[Contender], lines: Sequence[Line]) -> Mapping[str, Any]:
    """As ``polo compare --json`` prints it: each system by its name, and the same figures line by line with tests."""
    systems = {}
    for one in found:
        own = [line for line in lines if line.name == one.name]
        systems[one.name] = {
            "system": one.system, "runs": [str(run.path) for run in one.runs], "seeds": list(one.seeds),
            "figures": {line.metric: {"mean": line.value, "low": line.low, "high": line.high, "spread": line.spread}
                        for line in own},
            "budget": one.budget().plain(),
        }  # fmt: skip
    return {
        "protocol": found[0].runs[0].protocol,
        "against": found[0].name,
        "systems": systems,
        "lines": [line.plain() for line in lines],
    }
