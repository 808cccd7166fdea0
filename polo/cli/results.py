"""The table at the end of a run. Knows results.json, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from polo.cli.output import print_heading, print_table, print_text

#: systems in the order of the table's lines; others (stages, further baselines) stand between the two
FIRST, LAST = ("random", "popularity", "item_knn", "markov"), ("model", "best_possible")
SHOWN = ("hit_ratio@1", "hit_ratio@5", "ndcg@10", "mrr")


def _ordered(systems: Mapping[str, Any]) -> list[str]:
    middle = [name for name in systems if name not in FIRST and name not in LAST]
    return [n for n in FIRST if n in systems] + middle + [n for n in LAST if n in systems]


def _difference(results: Mapping[str, Any], system: str, metric: str) -> str:
    for one in results["comparisons"]:
        if one["b"] == system and one["metric"] == metric:
            p = "p < 0.001" if one["p"] < 0.001 else f"p = {one['p']:.3f}"
            return f"{one['difference']:+.3f} [{one['low']:+.3f}, {one['high']:+.3f}], {p}"
    return ""


def print_results(results: Mapping[str, Any]) -> None:
    """The table on stdout: each system's metrics with 95 % intervals, and what the model adds to it."""
    systems, protocol = results["systems"], results["protocol"]
    known = next(iter(systems.values()))
    metrics = [m for m in SHOWN if m in known] or list(known)[:4]
    rows = []
    for name in _ordered(systems):
        values = [systems[name][metric] for metric in metrics]
        cells = [f"{v['value']:.3f} [{v['low']:.3f}, {v['high']:.3f}]" for v in values]
        rows.append([name, *cells, _difference(results, name, metrics[0])])
    print_heading(
        f"\n{protocol['data']} ({protocol['form']}), {protocol['split']} split: {results['rows']:,} rows of "
        f"{results['users']:,} users, {protocol['n']} candidates each ({protocol['negatives']})"
    )
    print_table(["system", *metrics, f"model minus system, {metrics[0]}"], rows)
    print_text(f"95 % intervals and paired tests are clustered by user; protocol {protocol['hash']}\n", "dim")
