"""The page of a sweep: what was tried, how it went, what mattered. One HTML file. Knows facts of trials alone."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final

from jinja2 import Environment, PackageLoader

from polo.report.budget import Budget
from polo.report.sections import Cell, Table
from polo.report.svg import Axis, Thread, bars, lines, parallel, ticks
from polo.report.trials import PRUNED, Sweep, Trial
from polo.store.cost import cpu_seconds

#: words longer than this lose their middle on an axis; the table has them whole
_LETTERS: Final = 24
#: choices that an axis has room for
_CHOICES: Final = 14


def page(sweep: Sweep, command: str) -> str:
    """The whole file as text.

    Args:
        sweep: whose best trial there is.
        command: how to get it again.
    """
    templates = Environment(loader=PackageLoader("polo.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    best = sweep.best
    spent = [(one, cpu_seconds([one.cost]) if one.run else None) for one in sweep.trials]
    slow = [(one.number + 1.0, seconds) for one, seconds in spent if seconds is not None]
    each = [(one.number + 1.0, one.value) for one in sweep.trials if one.value is not None]
    shares = sweep.importance
    pictures = [
        _parallel(sweep),
        lines(f"Best {sweep.metric} so far", {"best so far": _stairs(sweep.so_far()), "each trial": each}, "trial"),
        bars("Importance: share of what decides", [_short(path) for path in shares],
             {"importance": list(shares.values())} if shares else {}, ""),
        lines("CPU seconds of each trial", {"CPU seconds": slow}, "trial"),
    ]  # fmt: skip
    return templates.get_template("sweep.html").render(
        sweep=sweep,
        best=best,
        table=_table(sweep),
        pictures=[one for one in pictures if one],
        budget=Budget(len(sweep.trials), sweep.cpu_seconds()).words(),
        counts=", ".join(f"{count} {state}" for state, count in sweep.counts().items()),
        errors=[(one.number, one.error) for one in sweep.trials if one.error],
        few=not shares,
        command=command,
    )


def _stairs(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """A value holds until the next one."""
    found: list[tuple[float, float]] = []
    for x, y in points:
        found += [(x, found[-1][1])] if found else []
        found.append((x, y))
    return found


def _table(sweep: Sweep) -> Table:
    rows = []
    for one in sweep.ranked():
        value = Cell(one.state, -1.0) if one.value is None else Cell(f"{one.value:.4f}", one.value)
        settings = [Cell(word, _number(word)) for word in (one.settings.get(path, "") for path in _paths(sweep))]
        seconds = cpu_seconds([one.cost]) if one.run else None
        cost = Cell("" if seconds is None else f"{seconds:.0f}", seconds)
        rows.append([Cell(str(one.number)), value, *settings, cost, Cell(one.run)])
    best = sweep.best
    return Table(["trial", sweep.metric, *map(_short, _paths(sweep)), "CPU s", "run"], rows, "Trials",
                 bold="" if best is None else str(best.number))  # fmt: skip


def _parallel(sweep: Sweep) -> str:
    shown = [one for one in sweep.trials if one.value is not None or one.state == PRUNED]
    values = [one.value for one in shown if one.value is not None]
    if not values:
        return ""
    low, high = min(values), max(values)
    columns = [_axis(path, [one.settings.get(path, "") for one in shown], log=path in sweep.log)
               for path in _paths(sweep)]  # fmt: skip
    room = (high - low) or 1.0
    marks = [(f"{value:.4g}", (value - low) / room) for value in {low: 0, high: 0} | dict.fromkeys(ticks(low, high, 4))]
    axes = [*(axis for axis, _ in columns), Axis(sweep.metric, _apart(marks))]
    threads = []
    for number, one in enumerate(shown):
        at = [places[number] for _, places in columns]
        share = None if one.value is None else (one.value - low) / room
        said = (
            f"trial {one.number}: {one.state if one.value is None else f'{one.value:.4f}'}; {' '.join(one.overrides)}"
        )
        threads.append(Thread([*at, share], share or 0.0, said, _same(one, sweep.best), share is None))
    return parallel("Every trial: its settings and what it came to", axes, threads)


def _same(one: Trial, best: Trial | None) -> bool:
    return best is not None and one.number == best.number


def _axis(path: str, words: Sequence[str], *, log: bool) -> tuple[Axis, list[float | None]]:
    """The axis of a setting, and each word's place on it: by size where all are numbers, else evenly by word."""
    numbers = [_number(word) for word in words]
    known = [number for number in numbers if number is not None]
    if len(known) == len(words) and len(set(known)) > 1 and (not log or min(known) > 0):
        scale = math.log10 if log else float
        low, high = scale(min(known)), scale(max(known))
        around = [10.0**power for power in range(math.ceil(low), math.floor(high) + 1)] if log else ticks(low, high, 5)
        ends = [min(known), max(known), *around]
        marks = [(f"{value:.3g}", (scale(value) - low) / (high - low)) for value in dict.fromkeys(ends)]
        return Axis(_short(path), _apart(marks)), [(scale(one) - low) / (high - low) for one in known]
    order = list(dict.fromkeys(sorted(words)))
    place = {word: (i + 0.5) / len(order) for i, word in enumerate(order)}
    marks = [(_cut(word), at) for word, at in place.items()]
    return Axis(_short(path), marks[:: math.ceil(len(marks) / _CHOICES)]), [place[word] for word in words]


def _apart(marks: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Without marks that would touch one that stands before them."""
    kept: list[tuple[str, float]] = []
    for word, at in marks:
        if all(abs(at - other) > 0.08 for _, other in kept):
            kept.append((word, at))
    return kept


def _paths(sweep: Sweep) -> list[str]:
    return list(dict.fromkeys(path for one in sweep.trials for path in one.settings))


def _short(path: str) -> str:
    """Without what all stages' paths begin with."""
    return path.removeprefix("stages.")


def _cut(word: str) -> str:
    return word if len(word) <= _LETTERS else f"{word[: _LETTERS // 2 - 1]}…{word[-_LETTERS // 2 :]}"


def _number(word: str) -> float | None:
    try:
        value = float(word)
    except ValueError:
        return None
    return value if math.isfinite(value) else None
