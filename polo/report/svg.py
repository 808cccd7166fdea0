"""Line and bar plots as inline SVG. Colours come from the page's CSS, so that one drawing serves light and dark.

Knows numbers and labels. Every plot has a title and a description for those who do not see it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from markupsafe import Markup

Points = Sequence[tuple[float, float]]

_WIDTH, _HEIGHT = 460.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 12.0, 14.0, 36.0
#: dash patterns, so that lines are told apart without colour
_DASHES = ("", "6 3", "2 3", "8 3 2 3")
#: colours of the style sheet
_COLOURS = 8


def ticks(low: float, high: float, count: int = 5) -> list[float]:
    """Round numbers from ``low`` to ``high``.

    Example:
        >>> ticks(0.0, 0.9)
        [0.0, 0.2, 0.4, 0.6, 0.8]
    """
    if not high > low:
        return [low]
    raw = (high - low) / count
    size = 10 ** math.floor(math.log10(raw))
    step = next(size * m for m in (1, 2, 5, 10) if size * m >= raw)
    first = math.ceil(low / step - 1e-9)
    return [round(step * i, 12) for i in range(first, math.floor(high / step + 1e-9) + 1)]


class _Frame:
    """Axes: from data to places on the page."""

    def __init__(self, xs: Sequence[float], ys: Sequence[float], zero: bool = False) -> None:
        self.x0, self.x1 = min(xs), max(xs)
        low, high = min(ys), max(ys)
        pad = 0.06 * (high - low or abs(high) or 1.0)
        self.y0, self.y1 = (0.0 if zero else low - pad), high + pad

    def x(self, value: float) -> float:
        return _LEFT + (value - self.x0) / ((self.x1 - self.x0) or 1) * (_WIDTH - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return _HEIGHT - _BOTTOM - (value - self.y0) / ((self.y1 - self.y0) or 1) * (_HEIGHT - _TOP - _BOTTOM)

    def grid(self, x_ticks: Sequence[float] | None = None) -> str:
        out = []
        for value in ticks(self.y0, self.y1):
            y = self.y(value)
            out.append(f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
            out.append(f'<text x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{value:g}</text>')
        out += [
            f'<text x="{self.x(value):.1f}" y="{_HEIGHT - _BOTTOM + 15}" text-anchor="middle">{value:g}</text>'
            for value in (ticks(self.x0, self.x1) if x_ticks is None else x_ticks)
        ]
        return "".join(out)


def _svg(title: str, description: str, body: str, size: tuple[float, float] = (_WIDTH, _HEIGHT)) -> str:
    return (
        f'<svg viewBox="0 0 {size[0]:g} {size[1]:g}" role="img" aria-label="{escape(title)}: {escape(description)}">'
        f"<title>{escape(title)}</title><desc>{escape(description)}</desc>{body}</svg>"
    )


def _axis(label: str) -> str:
    return (
        f'<text class="axis" x="{(_LEFT + _WIDTH) / 2}" y="{_HEIGHT - 4}" text-anchor="middle">{escape(label)}</text>'
    )


def _legend(names: Sequence[str], *, filled: bool) -> str:
    items = []
    for index, name in enumerate(names):
        mark = (
            f'<rect class="fill{index % _COLOURS}" y="1" width="12" height="8"/>'
            if filled
            else f'<line class="line{index % _COLOURS}" x2="18" y1="5" y2="5" stroke-dasharray="{_DASHES[index % 4]}"/>'
        )
        key = f'<svg class="key" viewBox="0 0 18 10" aria-hidden="true">{mark}</svg>'
        items.append(f"<span>{key}{escape(name)}</span>")
    return f'<div class="legend">{"".join(items)}</div>' if len(names) > 1 or not filled else ""


def lines(
    title: str, series: Mapping[str, Points], x_label: str, *, band: Sequence[tuple[float, float, float]] = ()
) -> str:
    """A figure with one line for each series; empty if there are no two points.

    Args:
        title: of the figure.
        series: name -> points (x, y).
        x_label: under the axis.
        band: (x, low, high) around the first series.
    """
    series = {name: points for name, points in series.items() if len(points) > 1}
    if not series:
        return ""
    ends = [y for _, low, high in band for y in (low, high)]
    frame = _Frame([x for p in series.values() for x, _ in p], [*(y for p in series.values() for _, y in p), *ends])
    body = frame.grid()
    if band:
        around = [*((x, high) for x, _, high in band), *((x, low) for x, low, _ in reversed(band))]
        corners = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in around)
        body += f'<polygon class="band0" points="{corners}"/>'
    for index, points in enumerate(series.values()):
        path = " ".join(f"{frame.x(x):.1f},{frame.y(y):.1f}" for x, y in thinned(points))
        body += f'<polyline class="line{index % _COLOURS}" points="{path}" stroke-dasharray="{_DASHES[index % 4]}"/>'
    said = "; ".join(f"{name} from {p[0][1]:.3g} to {p[-1][1]:.3g}" for name, p in series.items())
    return _figure(title, _svg(title, said, body + _axis(x_label)), _legend(list(series), filled=False))


#: letters that fit side by side under an axis
_LETTERS = 52


def bars(title: str, labels: Sequence[str], series: Mapping[str, Sequence[float]], x_label: str) -> str:
    """A figure with a group of bars for each label."""
    if not labels or not series:
        return ""
    values = [value for column in series.values() for value in column]
    frame = _Frame([0.0, float(len(labels))], [0.0, *values], zero=min(values) >= 0)
    body = frame.grid(x_ticks=[])
    width = 0.8 / len(series)
    for index, column in enumerate(series.values()):
        for place, value in enumerate(column):
            x0, x1 = frame.x(place + 0.1 + index * width), frame.x(place + 0.1 + (index + 1) * width)
            top, foot = frame.y(max(value, 0.0)), frame.y(min(value, 0.0))
            body += (
                f'<rect class="fill{index % _COLOURS}" x="{x0:.1f}" y="{top:.1f}" width="{max(x1 - x0 - 1, 0.5):.1f}" '
                f'height="{max(foot - top, 0.0):.1f}"/>'
            )
    every = math.ceil(len(labels) * max(len(label) for label in labels) / _LETTERS)
    # without words under the axis there is room for a second line of labels, every other one
    lines = 1 if x_label else min(2, every)
    every = math.ceil(every / lines)
    for number, place in enumerate(range(0, len(labels), every)):
        half = len(labels[place]) * (frame.x(len(labels)) - frame.x(0)) / _LETTERS / 2
        x = min(frame.x(place + 0.5), frame.x(len(labels)) - half)
        body += (
            f'<text x="{x:.1f}" y="{_HEIGHT - _BOTTOM + 15 + 13 * (number % lines)}" text-anchor="middle">'
            f"{escape(labels[place])}</text>"
        )
    said = "; ".join(f"{name} from {min(c):.3g} to {max(c):.3g}" for name, c in series.items())
    return _figure(title, _svg(title, said, body + _axis(x_label)), _legend(list(series), filled=True))


@dataclass(frozen=True)
class Axis:
    """An upright axis of :func:`parallel`.

    Args:
        name: above it.
        marks: word and place, from 0 at the foot to 1 at the top.
    """

    name: str
    marks: Sequence[tuple[str, float]]


@dataclass(frozen=True)
class Thread:
    """A line from axis to axis.

    Args:
        places: on each axis, from 0 to 1; ``None`` where it does not reach.
        weight: how much it is seen, from 0 to 1.
        name: said to those who point at it.
        marked: it stands out; ``dashed``: it does not reach the end.
    """

    places: Sequence[float | None]
    weight: float
    name: str
    marked: bool = False
    dashed: bool = False


def parallel(title: str, axes: Sequence[Axis], threads: Sequence[Thread]) -> str:
    """A wide figure of parallel coordinates: an upright axis for each quantity, a line through them for each thing."""
    if len(axes) < 2 or not threads:
        return ""
    width, top, foot = 2 * _WIDTH, 34.0, _HEIGHT + 20

    def x(number: int) -> float:
        return 70 + number * (width - 170) / (len(axes) - 1)

    def y(share: float) -> float:
        return foot - share * (foot - top)

    body = ""
    for thread in sorted(threads, key=lambda one: (one.marked, one.weight)):
        points = " ".join(f"{x(i):.1f},{y(at):.1f}" for i, at in enumerate(thread.places) if at is not None)
        look = (
            'class="line1" style="stroke-width:3.5"'
            if thread.marked
            else (f'class="line0" opacity="{0.12 + 0.75 * min(max(thread.weight, 0.0), 1.0):.2f}"')
        )
        dashes = ' stroke-dasharray="3 4"' if thread.dashed else ""
        body += f'<polyline {look} points="{points}"{dashes}><title>{escape(thread.name)}</title></polyline>'
    for number, axis in enumerate(axes):
        at = x(number)
        body += f'<line class="upright" x1="{at:.1f}" x2="{at:.1f}" y1="{top}" y2="{foot}"/>'
        body += f'<text class="axis" x="{at:.1f}" y="{top - 14}" text-anchor="middle">{escape(axis.name)}</text>'
        for word, share in axis.marks:
            body += f'<text class="mark" x="{at + 7:.1f}" y="{y(share) + 4:.1f}">{escape(word)}</text>'
    said = f"{len(threads)} lines over {', '.join(axis.name for axis in axes)}"
    drawing = _svg(title, said, body, (width, foot + 16))
    caption = f"<figcaption>{escape(title)}</figcaption>"
    return Markup(f'<figure class="wide">{caption}{drawing}</figure>')  # noqa: S704 - its words are escaped


def _figure(title: str, drawing: str, legend: str) -> Markup:
    return Markup(f"<figure><figcaption>{escape(title)}</figcaption>{drawing}{legend}</figure>")  # noqa: S704 - its words are escaped


def thinned(points: Points, most: int = 400) -> Points:
    """At most ``most`` points: means of so many neighbours each, of fewer at the end.

    Example:
        >>> thinned([(0, 0.0), (1, 2.0), (2, 4.0)], most=2)
        [(0.5, 1.0), (2.0, 4.0)]
    """
    if len(points) <= most:
        return points
    size = math.ceil(len(points) / most)
    groups = [points[start : start + size] for start in range(0, len(points), size)]
    return [(sum(x for x, _ in group) / len(group), sum(y for _, y in group) / len(group)) for group in groups]
