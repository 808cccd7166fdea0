"""What a diagnosis of item vectors says: a table, and one HTML file with the rungs side by side.

Knows figures of rungs; knows no policy and no encoder.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from jinja2 import Environment, PackageLoader

from polo.report.sections import Cell, Table
from polo.report.svg import bars, lines, thinned

#: share of a stage's last steps whose mean is its final loss
_LAST = 0.1
#: points of a loss curve: each the mean of so many steps that there are no more
_POINTS = 60
#: shares of the largest eigenvalue below this are drawn there
_LEAST = 1e-8

#: what the columns of the table say
LEGEND: Final = {
    "loss": "mean over the last tenth of the steps",
    "kappa": "condition number of the Hessian, in the vector of a row, of the log loss over all items, at the start "
    "and at the end, the median over rows; at 1 every direction is equally steep, and gradient descent needs steps in "
    "proportion to it",
    "lengths": "the 99th percentile of the item vectors' lengths by the first, at the start",
    "crowding": "mean cosine of an item to those nearest by angle, at the start",
    "agree": "share of these that are among the nearest by who took them, at the start",
}

Curve = Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Seen:
    """Item vectors at one moment.

    Args:
        lengths: quantiles 0 to 100 % of the vectors' lengths.
        disparity: 99th percentile by first.
        crowding: mean cosine to the nearest items.
        agreement: share of the nearest items by angle that are among the nearest by takers.
        condition: median condition number of the softmax loss's Hessian over the sampled rows.
        spectrum: median eigenvalues as shares of the largest, largest first.
    """

    lengths: Sequence[float]
    disparity: float
    crowding: float
    agreement: float
    condition: float
    spectrum: Sequence[float]


@dataclass(frozen=True)
class Diagnosed:
    """One rung.

    Args:
        name: what it is called.
        run: the folder's name of the run that trained it.
        changes: overrides of the recipe.
        losses: stage -> (step, loss).
        start, end: of the training.
        figures: metric -> value on the evaluated rows.
    """

    name: str
    run: str
    changes: Sequence[str]
    losses: Mapping[str, Curve]
    start: Seen
    end: Seen
    figures: Mapping[str, float]

    @property
    def final_loss(self) -> float:
        """That of the last stage."""
        return final_loss(list(self.losses.values())[-1])


def final_loss(curve: Curve) -> float:
    """Mean loss of the last tenth of the steps.

    Example:
        >>> final_loss([(step, 1.0 if step < 10 else 3.0) for step in range(11)])
        2.0
    """
    last = [loss for _, loss in curve[-max(1, math.ceil(_LAST * len(curve))) :]]
    return sum(last) / len(last) if last else math.nan


def columns(rungs: Sequence[Diagnosed]) -> list[str]:
    """The heads of :func:`cells`."""
    metric = next(iter(rungs[0].figures), "")
    return ["rung", "loss", "kappa", "at end", "lengths", "crowding", "agree", *([metric] if metric else [])]


def cells(rung: Diagnosed) -> list[Cell]:
    """A line of the table: final loss; condition number at the start and end; the rest at the start."""
    metric = next(iter(rung.figures), "")
    return [
        Cell(rung.name),
        Cell(f"{rung.final_loss:.3f}", rung.final_loss),
        *(Cell(short(value), value) for value in (rung.start.condition, rung.end.condition, rung.start.disparity)),
        *(Cell(f"{value:.3f}", value) for value in (rung.start.crowding, rung.start.agreement)),
        *([Cell(f"{rung.figures[metric]:.4f}", rung.figures[metric])] if metric else []),
    ]


def short(value: float) -> str:
    """Three figures, or a power of ten.

    Example:
        >>> short(12.34), short(1234.5), short(2.5e9), short(float("inf"))
        ('12.3', '1,234', '2.5e9', 'inf')
    """
    if math.isinf(value):
        return "inf"
    if value >= 1e5:
        return f"{value:.1e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def page(title: str, rungs: Sequence[Diagnosed], left: Mapping[str, str], command: str) -> str:
    """The whole file as text.

    Args:
        title: the recipe's name.
        rungs: in their order.
        left: rungs that the policy refused, and why.
        command: how to get it again.
    """
    templates = Environment(loader=PackageLoader("polo.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    stages = list(dict.fromkeys(stage for one in rungs for stage in one.losses))
    curves = [
        lines(f"{stage}: training loss, {what}", {one.name: _curve(one, stage, part) for one in rungs}, "step")
        for stage in stages
        for what, part in (("from the start", 0.0), ("without the first fifth", 0.2))
    ]
    return templates.get_template("diagnosis.html").render(
        title=title,
        table=Table(columns(rungs), [cells(one) for one in rungs], "Rungs", bold=rungs[-1].name),
        curves=[one for one in curves if one],
        pictures=[one for one in (*_spectra(rungs), _lengths(rungs), *_neighbours(rungs)) if one],
        changes=[(one.name, one.run, " ".join(one.changes)) for one in rungs],
        left=left,
        legend=LEGEND,
        command=command,
    )


def _curve(rung: Diagnosed, stage: str, leave: float) -> Curve:
    """Means of neighbouring losses, without the first share of the steps."""
    points = rung.losses.get(stage, ())
    return thinned(points[int(leave * len(points)) :], _POINTS)


def _spectra(rungs: Sequence[Diagnosed]) -> list[str]:
    def curve(seen: Seen) -> Curve:
        return [(i + 1.0, math.log10(max(share, _LEAST))) for i, share in enumerate(seen.spectrum)]

    return [
        lines(f"Eigenvalues of the Hessian, log10 of their share of the largest: {when}", found, "eigenvalue")
        for when, found in (
            ("at the start", {one.name: curve(one.start) for one in rungs}),
            ("at the end", {one.name: curve(one.end) for one in rungs}),
        )
    ]


def _lengths(rungs: Sequence[Diagnosed]) -> str:
    """Log lengths as multiples of the median."""

    def curve(lengths: Sequence[float]) -> Curve:
        middle = lengths[50]
        return [(float(i), math.log10(value / middle)) for i, value in enumerate(lengths) if value > 0 and middle > 0]

    found = {one.name: curve(one.start.lengths) for one in rungs}
    return lines("Lengths of item vectors at the start, log10 of multiples of the median", found, "percentile")


def _neighbours(rungs: Sequence[Diagnosed]) -> list[str]:
    """Crowding is near 1 and agreement near 0, so that each has a scale of its own."""
    names = [one.name for one in rungs]
    ends = (("at the start", [one.start for one in rungs]), ("at the end", [one.end for one in rungs]))
    return [
        bars("Crowding: mean cosine to the nearest items", names, {w: [o.crowding for o in of] for w, of in ends}, ""),
        bars("Agreement: share of the nearest items that are nearest by who took them", names,
             {w: [o.agreement for o in of] for w, of in ends}, ""),
    ]  # fmt: skip
