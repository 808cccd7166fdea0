"""The report: one HTML file about one or several runs, that opens by double click. Puts sections together."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from polo.audit.verdicts import of_run
from polo.candidates import in_words
from polo.errors import InputError
from polo.report import compare, sections, tables
from polo.report.runs import Finished, open_run
from polo.report.style import CSS, SCRIPT
from polo.store.runfolder import RunFolder


def page(folders: Sequence[Path]) -> str:
    """The whole file as text.

    Raises:
        InputError: a folder is no finished run.
    """
    runs = [open_run(folder) for folder in folders]
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    body = "".join(_run(run) for run in runs) if len(runs) == 1 else _several(runs)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>polo: {escape(title)}</title><style>{CSS}</style></head>"
        f'<body><a class="skip" href="#results">Skip to the results</a><main>{body}</main>'
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _several(runs: Sequence[Finished]) -> str:
    return "<h1>Runs side by side</h1>" + _comparison(runs) + "".join(_run(run, several=True) for run in runs)


def _comparison(runs: Sequence[Finished]) -> str:
    try:
        compare.same_protocol(runs)
        found = compare.contenders(runs)
        lines = compare.compare(found, compare.metrics_of(found)[: sections.HEADLINE])
    except InputError as error:
        return f'<p class="taint warn" role="note">These runs are not compared: {escape(error.what)}.</p>'
    rows = [
        [line.name, line.metric, cells[2], (cells[3], line.value, cells[4]),
         (cells[5], line.difference if line.difference is not None else -9, cells[6]), (cells[7], line.p_holm, "")]
        for line, cells in ((line, tables.cells(line)) for line in lines)
    ]  # fmt: skip
    columns = ["run", "metric", "seeds", "mean", f"difference to {found[0].name}", "p (Holm)"]
    return (
        sections.table(columns, rows, caption="Comparison")
        + "<p class=dim>Intervals and tests are clustered by user; seeds of one recipe are pooled row by row.</p>"
    )


def _run(run: Finished, *, several: bool = False) -> str:
    p, checks = run.protocol, of_run(run.path)
    top = "h2" if several else "h1"
    anchor = "" if several else ' id="results"'
    return (
        f"<section><{top}>{escape(run.name)}</{top}>"
        f"<p class=dim>{escape(str(p['data']))} ({escape(str(p['form']))}), {escape(str(p['split']))} split: "
        f"{run.results['rows']:,} rows of {run.results['users']:,} users, "
        f"{escape(in_words(p))}; protocol {escape(str(p['hash']))}; {escape(run.path.name)}</p>"
        f"<h2>Audits</h2>{sections.audits(checks)}"
        f"<h2{anchor}>Results</h2>{sections.taint(checks)}{sections.headline(run)}"
        f"<h2>Training</h2>{sections.curves(RunFolder(run.path).metrics())}"
        f"<h2>Where the hits are</h2>{sections.slices(run)}"
        f"<h2>Margins</h2>{sections.margins(run)}"
        f"<h2>Examples</h2>{sections.examples(run)}"
        f"<h2>Provenance</h2>{sections.provenance(run)}</section>"
    )
