"""The tracker ``wandb``. Nothing is sent before an option asks for it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polo import Context
from polo_trackers.figures import COLUMNS, figures, final, library, summary
from polo_trackers.options import WandBOptions


class WandB:
    """Figures ``stage/name`` over ``stage/step``; recipe as config, final table, the model's metrics as summary.

    The run's folder names the run and is its id, so that one that goes on is the same run.
    """

    def __init__(self, options: WandBOptions, context: Context) -> None:
        self._options, self._wandb = options, library("wandb", "wandb")
        self._run: Any = None
        self._stages: set[str] = set()

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        place = run / "trackers"
        place.mkdir(exist_ok=True)
        options = self._options
        self._run = self._wandb.init(
            project=options.project,
            entity=options.entity,
            mode=options.mode,
            name=run.name,
            id=run.name,
            resume="allow" if options.mode == "online" else None,  # offline it would only warn; the id is the same
            config=dict(recipe),
            dir=str(place),
            reinit="create_new",
            settings=self._wandb.Settings(silent=True, console="off", disable_git=True, save_code=False),
        )

    def log(self, metrics: Mapping[str, Any]) -> None:
        if self._run is None:
            return
        stage, step = str(metrics["stage"]), f"{metrics['stage']}/step"
        if stage not in self._stages:
            self._stages.add(stage)
            self._run.define_metric(step)
            self._run.define_metric(f"{stage}/*", step_metric=step)
        self._run.log({**figures(metrics), step: metrics["step"]})

    def conclude(self, results: Mapping[str, Any]) -> None:
        self._run.log({"results": self._wandb.Table(columns=COLUMNS, data=final(results))})
        self._run.summary.update(summary(results))

    def close(self) -> None:
        if self._run is not None:
            self._run.finish()
