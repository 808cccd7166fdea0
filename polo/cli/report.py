"""``polo report``: one HTML file about a run, or several, to read and to pass on."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def report(
    runs: Annotated[list[Path], typer.Argument(metavar="RUN...", help="Folders of finished runs.", show_default=False)],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Where to write; report.html in the (first) run if not given.",
                     show_default=False),
    ] = None,
) -> None:  # fmt: skip
    """Write a report as one HTML file. Its path is the last line on stdout."""
    from polo.report.page import page
    from polo.store.files import write_bytes

    text = page(runs)
    place = out or runs[0] / "report.html"
    write_bytes(place, text.encode())
    print(place)
