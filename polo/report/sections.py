"""Sections of the report about one run, as HTML. Knows what a run folder holds; escapes every word of it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from html import escape
from itertools import pairwise
from typing import Any

import numpy as np

from polo.report.runs import Finished, read_margins
from polo.report.svg import bars, lines
from polo.store.shapes import Example, read

#: metrics of the headline table: the first ones, in the order of the recipe
HEADLINE = 6
#: figures beyond this are drawn nowhere; a float holds them and their sums
_LARGEST = 1e100
#: audits that speak of the held-out figures themselves
_VERDICTS = ("fail", "warn", "ok")


def table(columns: Sequence[str], rows: Sequence[Sequence[Any]], *, bold: Sequence[int] = (), caption: str = "") -> str:
    """A sortable table. A cell is text, or (text, number to sort by, small text below); the first one is a head."""
    head = "".join(
        f'<th scope="col"{" class=n" if index else ""}><button>{escape(name)}</button></th>'
        for index, name in enumerate(columns)
    )
    body = []
    for number, row in enumerate(rows):
        cells = [f'<th scope="row">{escape(str(row[0]))}</th>']
        for cell in row[1:]:
            text, value, small = cell if isinstance(cell, tuple) else (cell, None, "")
            by = f' data-v="{value}"' if value is not None else ""
            below = f"<small>{escape(small)}</small>" if small else ""
            cells.append(f'<td class="n"{by}>{escape(str(text))}{below}</td>')
        body.append(f"<tr{' class=model' if number in bold else ''}>{''.join(cells)}</tr>")
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escape(caption)}"><table class="sortable">'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>"
    )


def audits(checks: Sequence[Mapping[str, Any]]) -> str:
    """Verdicts, the bad ones first; those that are ok fold away."""
    if not checks:
        return (
            '<p class="warn"><strong>This run kept no audits.</strong> Run <code>polo audit</code> on its recipe.</p>'
        )
    order = sorted(checks, key=lambda check: _VERDICTS.index(check["verdict"]))

    def item(check: Mapping[str, Any]) -> str:
        fix = f"<em>&rarr; {escape(check['fix'])}</em>" if check["fix"] else ""
        return (
            f'<li class="{check["verdict"]}"><span class="verdict">{check["verdict"]}</span> '
            f'<span class="text"><strong>{escape(check["name"])}</strong>: {escape(check["meaning"])}</span>{fix}</li>'
        )

    bad = "".join(item(check) for check in order if check["verdict"] != "ok")
    good = [check for check in order if check["verdict"] == "ok"]
    listed = "".join(map(item, good))
    fold = f"<details><summary>{len(good)} audits are ok</summary><ul class=audits>{listed}</ul></details>"
    return (f'<ul class="audits">{bad}</ul>' if bad else "<p>No audit found a fault.</p>") + (fold if good else "")


def taint(checks: Sequence[Mapping[str, Any]]) -> str:
    """What stands beside the numbers that a failed audit is about."""
    failed = [check["name"] for check in checks if check["verdict"] == "fail"]
    if not failed:
        return ""
    return (
        f'<p class="taint fail" role="note">Read these numbers with the failed audits in mind: '
        f"{escape(', '.join(failed))}.</p>"
    )


def headline(run: Finished) -> str:
    """Every system by every metric, with intervals, and what the model adds to it."""
    systems = run.results["systems"]
    known = [name for name in next(iter(systems.values())) if all(name in figures for figures in systems.values())]
    metrics = known[:HEADLINE]
    first = metrics[0] if metrics else ""
    tests = {(t["b"], t["metric"]): t for t in run.results["comparisons"]}
    rows = []
    for name, figures in systems.items():
        cells: list[Any] = [name]
        for metric in metrics:
            f = figures[metric]
            cells.append((f"{f['value']:.3f}", f["value"], f"{f['low']:.3f} to {f['high']:.3f}"))
        test = tests.get((name, first))
        if test is None:
            cells.append(("", -9, ""))
        else:
            p = "p < 0.001" if test["p"] < 0.001 else f"p = {test['p']:.3f}"
            between = f"{test['low']:+.3f} to {test['high']:+.3f}, {p}"
            cells.append((f"{test['difference']:+.3f}", test["difference"], between))
        rows.append(cells)
    bold = [index for index, name in enumerate(systems) if name == "model"]
    note = (
        "<p class=dim>Mean and 95 % interval, clustered by user; ties count by their expected value. The last column "
        "is model minus system with a paired sign-flip test clustered by user.</p>"
    )
    if run.results.get("baselines") not in ("all", None):
        note += "<p class=warn>Baselines were chosen by hand in this recipe; not all of them are shown.</p>"
    return table(["system", *metrics, f"model adds ({first})"], rows, bold=bold, caption="Results") + note + whole(run)


def whole(run: Finished) -> str:
    """Metrics that are no means over rows."""
    found = {name: figures for name, figures in run.results.get("whole", {}).items() if figures}
    if not found:
        return ""
    metrics = list(dict.fromkeys(metric for figures in found.values() for metric in figures))
    rows = [[n, *((f"{f[m]:.3f}", f[m], "") if m in f else ("", -9, "") for m in metrics)] for n, f in found.items()]
    return "<h3>Of the whole evaluation</h3>" + table(
        ["system", *metrics], rows, caption="Figures of the whole evaluation"
    )


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


def curves(metrics: Sequence[Mapping[str, Any]]) -> str:
    """Learning curves and the collapse plots of each stage."""
    out = []
    for stage in dict.fromkeys(line["stage"] for line in metrics):
        plots = [
            lines(f"{stage}: loss", _series(metrics, stage, ["loss"]), "step"),
            lines(
                f"{stage}: validation",
                _series(metrics, stage, ["valid/hit_ratio@1", "valid/preference_accuracy"]),
                "step",
            ),
            lines(f"{stage}: reward margin", _series(metrics, stage, ["rewards/margins"]), "step"),
            lines(f"{stage}: log-probabilities", _series(metrics, stage, ["logps/chosen", "logps/rejected"]), "step"),
        ]
        watched = _series(metrics, stage, ["valid/loss"])
        collapse = [
            lines(f"{stage}: loss beside hit ratio (validation)",
                  _series(metrics, stage, ["valid/loss", "valid/hit_ratio@1"]), "step"),
            lines(f"{stage}: boundary against easy negatives (shares)",
                  _series(metrics, stage, ["valid/boundary", "valid/gradient_boundary", "valid/gradient_easy"]),
                  "step"),
            lines(f"{stage}: beta", _series(metrics, stage, ["valid/beta"]), "step"),
        ] if watched else []  # fmt: skip
        if any(plots):
            out.append(f"<h3>Stage {escape(stage)}</h3><div class=plots>{''.join(plots)}</div>")
        if any(collapse):
            fell = any(line.get("valid/collapse") for line in metrics if line.get("stage") == stage)
            said = (
                '<p class="fail"><strong>Preference optimisation collapse: the loss fell while the hit ratio fell.'
                "</strong></p>"
                if fell
                else "<p class=dim>No collapse: the hit ratio did not fall while the loss fell.</p>"
            )
            out.append(
                f"<h3>Stage {escape(stage)}: collapse monitor</h3>{said}<div class=plots>{''.join(collapse)}</div>"
            )
    return "".join(out) or "<p class=dim>No metric lines.</p>"


def slices(run: Finished) -> str:
    """The first metric by bins of the rows."""
    cut = run.results.get("slices", {})
    if not cut:
        return "<p class=dim>This run kept no slices.</p>"
    plots = []
    for name, bins in cut.items():
        systems = bins[0]["systems"] if bins else {}
        everywhere = [one["systems"].get(system, {}) for one in bins for system in systems]
        shared = everywhere[0] if everywhere else {}
        metric = next((m for m in shared if all(m in figures for figures in everywhere)), None)
        if metric is not None:
            columns = {s: [one["systems"][s][metric] for one in bins] for s in systems}
            plots.append(bars(f"{metric} by {name}", [one["label"] for one in bins], columns, name))
    return f"<div class=plots>{''.join(plots)}</div>"


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
    drawing = bars("Share of rows by margin", labels, columns, "score of the target minus the best other score")
    note = "<p class=dim>Right of 0 the target is ranked first. The ends hold the outermost 1 %.</p>"
    return f"<div class=plots>{drawing}</div>{note}"


def examples(run: Finished) -> str:
    """Histories, ranked candidates with probabilities, and the truth."""
    file = run.path / "eval" / "examples.json"
    if not file.is_file():
        return "<p class=dim>This run kept no examples; <code>polo eval RUN</code> writes them.</p>"
    out = []
    for one in read(file, list[Example], fix="polo eval RUN writes it anew"):
        ranked = "".join(
            f"<li{' class=truth' if c['title'] == one['target'] else ''}>{escape(c['title'])} "
            f"<span class=dim>{100 * c['probability']:.1f} %</span>"
            f"{' (chosen)' if c['title'] == one['target'] else ''}</li>"
            for c in one["candidates"]
        )
        shown = " &middot; ".join(escape(title) for title in one["history"])
        out.append(f'<div class="example"><p><strong>Shown:</strong> {shown}</p><ol>{ranked}</ol></div>')
    return "".join(out)


def provenance(run: Finished) -> str:
    """Where the numbers come from, and how to get them again."""
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
    listed = "".join(
        f"<dt>{escape(key)}</dt><dd>{escape(str(value))}</dd>" for key, value in shown.items() if value != ""
    )
    resolved = run.path / "resolved.yaml"
    recipe = resolved.read_text("utf-8", errors="replace") if resolved.is_file() else ""
    again = shlex.join(["polo", "run", f"{run.path.name}/resolved.yaml", "--profile", "none"])
    if any("sha256" in plugin for plugin in facts.get("plugins", [])):
        again += " --trust-plugins"
    given = shlex.join(str(word) for word in facts.get("command", []))
    return (
        f"<dl>{listed}</dl><h3>To get these numbers again</h3><pre>{escape(again)}</pre>"
        f"<p class=dim>As it was started:</p><pre>{escape(given)}</pre>"
        f"<details><summary>The resolved recipe</summary><pre>{escape(recipe)}</pre></details>"
    )
