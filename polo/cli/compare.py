"""``polo compare``: finished runs side by side, with intervals and tests; refuses what cannot be compared."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from polo.cli.common import JsonOption
from polo.cli.output import print_heading, print_json, print_table, print_text
from polo.errors import InputError

#: metrics shown if --metric is not given: the first ones, in the order of the recipe
SHOWN = 4


def compare(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.", show_default=False)],
    metric: Annotated[
        list[str] | None, typer.Option("--metric", help="A metric (repeatable), or: all", show_default=False)
    ] = None,
    with_: Annotated[
        list[str] | None,
        typer.Option("--with", metavar="SYSTEM", help="Also a system of the first run: a baseline or a stage.",
                     show_default=False),
    ] = None,
    json: JsonOption = False,
    csv: Annotated[bool, typer.Option("--csv", help="Print CSV.")] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a Markdown table.")] = False,
    latex: Annotated[bool, typer.Option("--latex", help="Print a LaTeX table.")] = False,
) -> None:  # fmt: skip
    """Compare runs against the first one. Seeds of one recipe are one system: mean and interval over them."""
    if sum((json, csv, markdown, latex)) > 1:
        raise InputError("one output form at a time", where="--json, --csv, --markdown, --latex")

    from polo.candidates import in_words
    from polo.report import compare as comparing
    from polo.report import tables
    from polo.report.runs import open_run

    opened = [open_run(path) for path in runs]
    comparing.same_protocol(opened)
    found = comparing.with_baselines(comparing.contenders(opened), with_ or ())
    known = comparing.metrics_of(found)
    wanted = known if metric == ["all"] else metric or known[:SHOWN]
    lines = comparing.compare(found, wanted)
    if json:
        print_json(comparing.plain(found, lines))
    elif csv:
        print(tables.to_csv(lines), end="")
    elif markdown:
        print(tables.to_markdown(lines), end="")
    elif latex:
        print(tables.to_latex(lines), end="")
    else:
        protocol = opened[0].protocol
        print_heading(f"{protocol['data']} ({protocol['form']}), {protocol['split']} split: {protocol['rows']:,} rows, "
                      f"{in_words(protocol)}, protocol {protocol['hash']}")  # fmt: skip
        print_table(tables.HEADER, [tables.cells(line) for line in lines])
        print_table(["system", "budget"], [[one.name, one.budget().words()] for one in found])
        print_text(f"differences are to {found[0].name}; intervals and tests are over users and seeds together (over "
                   "users alone with one seed), p-values Holm-corrected within a metric; a budget counts all settings "
                   "that were tried before one was taken, as far as a sweep tells", "dim")  # fmt: skip
