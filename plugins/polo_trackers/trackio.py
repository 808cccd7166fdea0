"""The tracker ``trackio``: a run in the store of this machine that ``trackio show`` reads. Sends nothing.

By the library's own run, not by ``trackio.init``: that would end a run of the user's own, speak on stdout, and write to
a space of the hub where a variable of the environment says so.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from polo import Context
from polo_trackers.figures import COLUMNS, figures, final, library, summary
from polo_trackers.options import TrackioOptions


class Trackio:
    """Figures ``stage/name`` by the stage's step; recipe as config, final table, the model's metrics ``final/name``.

    The run's folder names the run and is its id, so that one that goes on is the same run.
    """

    def __init__(self, options: TrackioOptions, context: Context) -> None:
        self._options, self._trackio = options, library("trackio", "trackio")
        self._run: Any = None

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        # a run asks the hub for the name of whoever is logged in
        alone = type("Run", (self._trackio.Run,), {"_get_username": lambda self: None})
        with redirect_stdout(io.StringIO()):
            self._run = alone(
                url=None, project=self._options.project, client=None, name=run.name, run_id=run.name,
                config=dict(recipe), existing_runs=[],
            )  # fmt: skip

    def log(self, metrics: Mapping[str, Any]) -> None:
        if self._run is not None:
            self._run.log(figures(metrics), step=int(metrics["step"]))

    def conclude(self, results: Mapping[str, Any]) -> None:
        table = self._trackio.Table(columns=COLUMNS, data=final(results))
        self._run.log({"results": table, **summary(results)}, step=0)

    def close(self) -> None:
        if self._run is not None:
            with redirect_stdout(io.StringIO()):  # it says that it uploads, to its own file
                self._run.finish()
