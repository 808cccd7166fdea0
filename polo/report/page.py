"""The report: one HTML file about one or several runs, that opens by double click. Puts sections into templates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, PackageLoader

from polo.errors import InputError
from polo.report import compare, sections, tables
from polo.report.runs import Finished, open_run
from polo.report.sections import Cell, Table


def page(folders: Sequence[Path]) -> str:
    """The whole file as text.

    Raises:
        InputError: a folder is no finished run.
    """
    runs = [open_run(folder) for folder in folders]
    # Everything that a run says is a stranger's word and escaped; our drawings are the only markup that is passed on.
    templates = Environment(loader=PackageLoader("polo.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True)
    title = runs[0].name if len(runs) == 1 else f"{len(runs)} runs"
    refused, comparison, budgets = "", None, None
    if len(runs) > 1:
        try:
            comparison, budgets = _comparison(runs)
        except InputError as error:
            refused = error.what
    shown = [sections.of(run) for run in runs]
    return templates.get_template("page.html").render(
        title=title, runs=shown, refused=refused, comparison=comparison, budgets=budgets
    )


def _comparison(runs: Sequence[Finished]) -> tuple[Table, Table]:
    """Figures, and what each run was given."""
    compare.same_protocol(runs)
    found = compare.contenders(runs)
    rows = []
    for line in compare.compare(found, compare.metrics_of(found)[: sections.HEADLINE]):
        name, metric, seeds, mean, interval, difference, between, p = tables.cells(line)
        apart = -9 if line.difference is None else line.difference
        rows.append(
            [Cell(name), Cell(metric), Cell(seeds), Cell(mean, line.value, interval), Cell(difference, apart, between),
             Cell(p, line.p_holm)]
        )  # fmt: skip
    columns = ["run", "metric", "seeds", "mean", f"difference to {found[0].name}", "p (Holm)"]
    spent = [(one.name, one.budget()) for one in found]
    given = [[Cell(name), Cell(str(b.trials), b.trials), Cell(b.words(), b.cpu_seconds)] for name, b in spent]
    return Table(columns, rows, "Comparison"), Table(["run", "trials", "budget"], given, "Budgets")
