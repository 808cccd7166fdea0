"""Trackers: CSV, and the libraries that people watch their training with. Declarations only."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl

_OPTIONS = "polo_trackers.options"


@hookimpl
def polo_trackers() -> Sequence[Component]:
    """Whoever is told every metric. Nothing leaves the machine unless an option says so."""
    return [
        Component(
            name="csv",
            build="polo_trackers.table:Csv",
            options=f"{_OPTIONS}:CsvOptions",
            summary="a table of every figure, a line each, in the run's folder",
        ),
        Component(
            name="tensorboard",
            build="polo_trackers.tensorboard:TensorBoard",
            options=f"{_OPTIONS}:TensorBoardOptions",
            summary="event files for TensorBoard (extra: tensorboard)",
        ),
        Component(
            name="wandb",
            build="polo_trackers.wandb:WandB",
            options=f"{_OPTIONS}:WandBOptions",
            summary="Weights & Biases, offline unless asked (extra: wandb)",
        ),
        Component(
            name="mlflow",
            build="polo_trackers.mlflow:MLflow",
            options=f"{_OPTIONS}:MLflowOptions",
            summary="MLflow, in the run's folder or on a server (extra: mlflow)",
        ),
        Component(
            name="trackio",
            build="polo_trackers.trackio:Trackio",
            options=f"{_OPTIONS}:TrackioOptions",
            summary="Trackio, in its store on this machine (extra: trackio)",
        ),
    ]
