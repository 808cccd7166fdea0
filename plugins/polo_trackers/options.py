"""Options of the trackers. Imports none of the libraries."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import MinLen


@dataclass(frozen=True, kw_only=True)
class CsvOptions:
    """A CSV file."""

    #: its name in the folder ``trackers/`` of the run
    file: Annotated[str, MinLen(1)] = "metrics.csv"


@dataclass(frozen=True, kw_only=True)
class TensorBoardOptions:
    """Event files: ``tensorboard --logdir runs``."""

    #: where they are written, a folder for each run in it; ``trackers/tensorboard`` of the run if not given
    folder: str | None = None


@dataclass(frozen=True, kw_only=True)
class WandBOptions:
    """Weights & Biases."""

    #: project that the run belongs to
    project: Annotated[str, MinLen(1)] = "polo"
    #: user or team; the library's own default if not given
    entity: str | None = None
    #: ``online`` sends everything to the service; ``offline`` keeps it in the run's folder, for ``wandb sync``
    mode: Literal["offline", "online"] = "offline"


@dataclass(frozen=True, kw_only=True)
class MLflowOptions:
    """MLflow."""

    #: experiment that the run belongs to
    experiment: Annotated[str, MinLen(1)] = "polo"
    #: address of a tracking server or store; ``trackers/mlflow/mlflow.db`` of the run (SQLite) if not given
    uri: str | None = None


@dataclass(frozen=True, kw_only=True)
class TrackioOptions:
    """Trackio: ``trackio show --project polo``; the variable ``TRACKIO_DIR`` says where its store is."""

    #: project that the run belongs to
    project: Annotated[str, MinLen(1)] = "polo"
