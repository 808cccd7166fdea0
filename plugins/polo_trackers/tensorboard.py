"""The tracker ``tensorboard``: event files, a folder for each stage, whose steps count from 0."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from polo import Context
from polo_trackers.figures import COLUMNS, figures, final, library, markdown, settings, summary
from polo_trackers.options import TensorBoardOptions


class TensorBoard:
    """Scalars ``stage/name``, the recipe and the final table as texts, the model's metrics as ``final/name``.

    A stage that goes on forgets what lies behind its checkpoint, by TensorBoard's own purging.
    """

    def __init__(self, options: TensorBoardOptions, context: Context) -> None:
        self._folder = options.folder
        self._make = library("torch.utils.tensorboard", "tensorboard").SummaryWriter
        self._place: Path | None = None
        self._writers: dict[str, Any] = {}

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        self._place = run / "trackers" / "tensorboard" if self._folder is None else Path(self._folder) / run.name
        rows = [[f"`{key}`", str(value)] for key, value in settings(recipe).items()]
        self._of("run", None).add_text("recipe", markdown(["setting", "value"], rows))

    def log(self, metrics: Mapping[str, Any]) -> None:
        if self._place is None:
            return
        # a checkpoint is behind the validation of its step, so what stands at the first step itself stays
        writer = self._of(metrics["stage"], metrics["step"] + ("loss" in metrics))
        for name, value in figures(metrics).items():
            writer.add_scalar(name, value, metrics["step"])

    def conclude(self, results: Mapping[str, Any]) -> None:
        writer = self._of("run", None)
        writer.add_text("results", markdown(COLUMNS, final(results)))
        for name, value in summary(results).items():
            writer.add_scalar(name, value, 0)

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()

    def _of(self, name: str, purge: int | None) -> Any:
        if name not in self._writers:
            self._writers[name] = self._make(log_dir=str(self._place) + f"/{name}", purge_step=purge)
        return self._writers[name]
