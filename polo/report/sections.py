"""What the report says about one run. Knows what a run folder holds; how it is written is the templates' affair."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from polo.audit.verdicts import of_run
from polo.candidates import in_words
from polo.report.runs import Finished, read_margins
from polo.report.svg import bars, lines
from polo.store.runfolder import RunFolder
from polo.store.shapes import Example, read

#: metrics of the headline table: the first ones, in the order of the recipe
HEADLINE = 6
#: figures beyond this are drawn nowhere; a float holds them and their sums
_LARGEST = 1e100
#: bad ones first
_VERDICTS = ("fail", "warn", "ok")


@dataclass(frozen=True)
class Cell:
    """Text, a number to sort by instead of it, and small text below."""

    text: str
    value: float | None = None
    small: str = ""


#: sorts below every figure
EMPTY = Cell("", -9)


@dataclass(frozen=True)
class Table:
    """A table that sorts; the first cell of a row is its head.

    Args:
        columns: heads.
        rows: a cell for each column.
        caption: what it shows, for those who do not see it.
        bold: the head of the row that stands out.
    """

    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    caption: str
    bold: str = ""


@dataclass(frozen=True)
class Watched:
    """Figures of one stage; ``fell`` if its monitor saw a collapse."""

    name: str
    curves: Sequence[str]
    collapse: Sequence[str]
    fell: bool


def of(run: Finished) -> dict[str, Any]:
    """Everything that the template of a run asks for, by its names there."""
    checks = sorted(of_run(run.path), key=lambda check: _VERDICTS.index(check["verdict"]))
    facts = run.provenance
    resolved = run.path / "resolved.yaml"
    again = shlex.join(["polo", "run", f"{run.path.name}/resolved.yaml", "--profile", "none"])
    if any("sha256" in plugin for plugin in facts.get("plugins", [])):
        again += " --trust-plugins"
    return {
        "name": run.name,
        "folder": run.path.name,
        "protocol": run.protocol,
        "rows": run.results["rows"],
        "users": run.results["users"],
        "checks": checks,
        "headline": headline(run),
        "chosen_baselines": run.results.get("baselines") not in ("all", None),
        "whole": whole(run),
        "stages": stages(RunFolder(run.path).metrics()),
        "slices": slices(run),
        "ranked": in_words(run.protocol),
        "margins": margins(run),
        "examples": examples(run),
        "facts": provenance(run),
        "again": again,
        "command": shlex.join(str(word) for word in facts.get("command", [])),
        "recipe": resolved.read_text("utf-8", errors="replace") if resolved.is_file() else "",
    }


def headline(run: Finished) -> Table:
    """Every system by every metric, with intervals, and what the model adds to it."""
    systems = run.results["systems"]
    known = [name for name in next(iter(systems.values())) if all(name in figures for figures in systems.values())]
    metrics = known[:HEADLINE]
    first = metrics[0] if metrics else ""
    tests = {(t["b"], t["metric"]): t for t in run.results["comparisons"]}

    def added(name: str) -> Cell:
        test = tests.get((name, first))
        if test is None:
            return EMPTY
        p = "p < 0.001" if test["p"] < 0.001 else f"p = {test['p']:.3f}"
        between = f"{test['low']:+.3f} to {test['high']:+.3f}\n{p}"
        return Cell(f"{test['difference']:+.3f}", test["difference"], between)

    rows = [
        [
            Cell(name),
            *(Cell(f"{f['value']:.3f}", f["value"], f"{f['low']:.3f} to {f['high']:.3f}")
              for f in (figures[metric] for metric in metrics)),
            added(name),
        ]
        for name, figures in systems.items()
    ]  # fmt: skip
    return Table(["system", *metrics, f"model adds ({first})"], rows, "Results", bold="model")


def whole(run: Finished) -> Table | None:
    """Metrics that are no means over rows."""
    found = {name: figures for name, figures in run.results.get("whole", {}).items() if figures}
    metrics = list(dict.fromkeys(metric for figures in found.values() for metric in figures))
    rows = [
        [Cell(name), *(Cell(f"{f[m]:.3f}", f[m]) if m in f else EMPTY for m in metrics)] for name, f in found.items()
    ]
    return Table(["system", *metrics], rows, "Figures of the whole evaluation") if rows else None


def _series(
    metrics: Sequence[Mapping[str, Any]], stage: str, names: Sequence[str]
) -> dict[str, list[tuple[float, float]]]:
    lines_ = [line for line in metrics if line.get("stage") == stage]
    found = {
        name: [
            (float(line["step"]), float(line[name])) for line in lines_ if _drawn(line, name) and _drawn(line, "step")
        ]
        for name in names
    }
    return {name.removeprefix("valid/"): points for name, points in found.items() if points}


def _drawn(line: Mapping[str, Any], name: str) -> bool:
    """Whether a line has a figure of this name that a plot can show."""
    value = line.get(name)
    return isinstance(value, int | float) and abs(value) < _LARGEST


def _measured(metrics: Sequence[Mapping[str, Any]], stage: str) -> list[str]:
    """HR@1 on the validation sample, and what else measurements are compared by."""
    names = dict.fromkeys(name for line in metrics if line.get("stage") == stage for name in line)
    told = [name.removesuffix("/low") for name in names if name.startswith("valid/") and name.endswith("/low")]
    return [_with_interval(metrics, stage, name) for name in dict.fromkeys(["valid/hit_ratio@1", *told])]


def _with_interval(metrics: Sequence[Mapping[str, Any]], stage: str, name: str) -> str:
    """A figure of the validation sample, with its interval where every point has one."""
    series = _series(metrics, stage, [name, f"{name}/low", f"{name}/high"])
    found, low, high = (series.get(one.removeprefix("valid/"), []) for one in (name, f"{name}/low", f"{name}/high"))
    band = [(x, a, b) for (x, a), (_, b) in zip(low, high, strict=False)] if len(low) == len(high) == len(found) else []
    said = " with its 95 % interval" if band else ""
    short = name.removeprefix("valid/")
    called = "HR@1" if short == "hit_ratio@1" else short
    return lines(f"{stage}: validation {called}{said}", {short: found}, "step", band=band)


def stages(metrics: Sequence[Mapping[str, Any]]) -> list[Watched]:
    """Learning curves and the collapse plots of each stage."""
    found = []
    for stage in dict.fromkeys(str(line["stage"]) for line in metrics):

        def plot(title: str, *names: str, stage: str = stage) -> str:
            return lines(f"{stage}: {title}", _series(metrics, stage, names), "step")

        curves = [
            plot("loss", "loss"),
            *_measured(metrics, stage),
            plot("validation preference accuracy", "valid/preference_accuracy"),
            plot("reward margin", "rewards/margins"),
            plot("log-probabilities", "logps/chosen", "logps/rejected"),
            plot("validation log-ratio to the reference", "valid/log_ratio/chosen", "valid/log_ratio/rejected"),
        ]
        collapse = [
            plot("loss beside hit ratio (validation)", "valid/loss", "valid/hit_ratio@1"),
            plot("boundary against easy negatives (shares)",
                 "valid/boundary", "valid/gradient_boundary", "valid/gradient_easy"),
            plot("beta", "valid/beta"),
        ] if _series(metrics, stage, ["valid/loss"]) else []  # fmt: skip
        fell = any(line.get("valid/collapse") for line in metrics if line.get("stage") == stage)
        found.append(Watched(stage, list(filter(None, curves)), list(filter(None, collapse)), fell))
    return [stage for stage in found if stage.curves or stage.collapse]


def slices(run: Finished) -> list[str]:
    """The first metric by bins of the rows; one bin would say what the table says."""
    cut = {name: bins for name, bins in run.results.get("slices", {}).items() if len(bins) > 1}
    plots = []
    for name, bins in cut.items():
        systems = bins[0]["systems"]
        everywhere = [one["systems"].get(system, {}) for one in bins for system in systems]
        shared = everywhere[0] if everywhere else {}
        metric = next((m for m in shared if all(m in figures for figures in everywhere)), None)
        if metric is not None:
            columns = {s: [one["systems"][s][metric] for one in bins] for s in systems}
            plots.append(bars(f"{metric} by {name}", [one["label"] for one in bins], columns, name))
    return plots


def margins(run: Finished) -> str:
    """Histogram of the chosen item's score minus the best other one's."""
    columns: dict[str, list[float]] = {}
    labels: list[str] = []
    found = {}
    for system in [
        s for s in (*run.recipe.get("stages", ()), "model") if (run.path / "eval" / f"scores-{s}.parquet").is_file()
    ]:
        margin = read_margins(run.path, system)
        if np.isfinite(margin).all():
            found[system] = margin
    if not found:
        return ""
    everything = np.concatenate(list(found.values()))
    low, high = np.percentile(everything, [1, 99])
    edges = np.linspace(low, high, 25) if high > low else np.array([low - 0.5, low + 0.5])
    for system, values in found.items():
        counts, _ = np.histogram(np.clip(values, edges[0], edges[-1]), bins=edges)
        columns[system] = (counts / len(values)).tolist()
    labels = [f"{(a + b) / 2:.1f}" for a, b in pairwise(edges.tolist())]
    return bars("Share of rows by margin", labels, columns, "score of the target minus the best other score")


def examples(run: Finished) -> list[Example] | None:
    """Histories, ranked candidates with probabilities, and the truth."""
    file = run.path / "eval" / "examples.json"
    return read(file, list[Example], fix="polo eval RUN writes it anew") if file.is_file() else None


def provenance(run: Finished) -> dict[str, str]:
    """Where the numbers come from."""
    facts = run.provenance
    hardware, git, data = facts.get("hardware", {}), facts.get("git", {}), facts.get("data", {})
    shown = {
        "run": run.path.name, "started": facts.get("started", ""), "seed": facts.get("seed", ""),
        "data": f"{data.get('name', '')} ({data.get('form', '')}), fingerprint {str(data.get('fingerprint', ''))[:16]}",
        "licence of the data": data.get("licence", ""),
        "protocol": json.dumps(run.protocol),
        "versions": ", ".join(f"{name} {version}" for name, version in facts.get("versions", {}).items()),
        "plugins": ", ".join(f"{p['entry']} ({p['distribution']} {p['version']})" for p in facts.get("plugins", [])),
        "hardware": ", ".join(f"{key}: {value}" for key, value in hardware.items() if value),
        "code": f"{git.get('commit', '')}{' with uncommitted changes' if git.get('dirty') else ''}" if git else "",
    }  # fmt: skip
    return {name: str(value) for name, value in shown.items() if value != ""}
