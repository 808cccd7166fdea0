"""The table at the end of a run. Knows results.json, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polo.candidates import in_words
from polo.cli.output import print_heading, print_table, print_text

#: metrics shown: the first ones, in the order of the recipe
SHOWN = 4


def _difference(results: Mapping[str, Any], system: str, metric: str) -> str:
    for one in results["comparisons"]:
        if one["b"] == system and one["metric"] == metric:
            p = "p < 0.001" if one["p"] < 0.001 else f"p = {one['p']:.3f}"
            return f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}], {p}"
    return ""


def print_results(results: Mapping[str, Any]) -> None:
    """The table on stdout: each system's metrics with 95 % intervals, and what the model adds to it.

    Systems stand from low to high by the first metric.
    """
    systems, protocol = results["systems"], results["protocol"]
    metrics = list(next(iter(systems.values())))[:SHOWN]
    rows = []
    for name in sorted(systems, key=lambda name: systems[name][metrics[0]]["value"]):
        values = [systems[name][metric] for metric in metrics]
        cells = [f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for v in values]
        rows.append([name, *cells, _difference(results, name, metrics[0])])
    print_heading(
        f"\n{protocol['data']} ({protocol['form']}), {protocol['split']} split: {results['rows']:,} rows of "
        f"{results['users']:,} users, {in_words(protocol)}"
    )
    print_table(["system", *metrics, f"model minus system, {metrics[0]}"], rows)
    print_text(f"95 % intervals and paired tests are clustered by user; protocol {protocol['hash']}\n", "dim")
