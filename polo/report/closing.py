"""The table at the end of a run: words in rows and columns. Knows results.json, nothing else; prints nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from polo.candidates import in_words

#: metrics shown: the first ones, in the order of the recipe
SHOWN: Final = 4


@dataclass(frozen=True)
class Closing:
    """Each system's metrics with 95 % intervals, and what the model adds to it; from low to high by the first metric.

    Args:
        heading: what was measured on.
        columns, rows: of the table.
        foot: how to read it.
    """

    heading: str
    columns: list[str]
    rows: list[list[str]]
    foot: str

    def text(self) -> str:
        """Columns of text, never cut or wrapped.

        Example:
            >>> print(Closing("toy", ["system", "a"], [["model", "0.5"]], "end").text())
            toy
            system  a
            model   0.5
            end
        """
        lines = [self.columns, *self.rows]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        told = ["  ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)).rstrip() for line in lines]
        return "\n".join([self.heading, *told, self.foot])


def closing(results: Mapping[str, Any]) -> Closing:
    """The table of what ``results.json`` holds."""
    systems, protocol = results["systems"], results["protocol"]
    metrics = list(next(iter(systems.values())))[:SHOWN]
    rows = []
    for name in sorted(systems, key=lambda name: systems[name][metrics[0]]["value"]):
        values = [systems[name][metric] for metric in metrics]
        cells = [f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for v in values]
        rows.append([name, *cells, _difference(results, name, metrics[0])])
    return Closing(
        f"{protocol['data']} ({protocol['form']}), {protocol['split']} split: {results['rows']:,} rows of "
        f"{results['users']:,} users, {in_words(protocol)}",
        ["system", *metrics, f"model minus system, {metrics[0]}"],
        rows,
        f"95 % intervals and paired tests are clustered by user; protocol {protocol['hash']}",
    )


def _difference(results: Mapping[str, Any], system: str, metric: str) -> str:
    for one in results["comparisons"]:
        if one["b"] == system and one["metric"] == metric:
            p = "p < 0.001" if one["p"] < 0.001 else f"p = {one['p']:.3f}"
            return f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}], {p}"
    return ""
