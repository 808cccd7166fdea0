"""The tracker ``mlflow``, by its client: no global state, and no run of the user's own is touched."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from polo import Context
from polo_trackers.figures import COLUMNS, figures, final, library, settings, summary
from polo_trackers.options import MLflowOptions

#: tag that holds the name of the run's folder, by which a run that goes on is found again
TAG: Final = "polo.run"
#: MLflow's own limits: settings of one call, letters of a value
_MANY, _LONG = 100, 500


class MLflow:
    """Metrics ``stage/name`` by the stage's step; the recipe as parameters and file, the final table as a file."""

    def __init__(self, options: MLflowOptions, context: Context) -> None:
        self._options = options
        self._client_of = library("mlflow.tracking", "mlflow").MlflowClient
        self._entities = library("mlflow.entities", "mlflow")
        self._client: Any = None
        self._id = ""
        self._concluded = False

    def begin(self, run: Path, recipe: Mapping[str, Any]) -> None:
        own = (run / "trackers" / "mlflow").resolve()
        if self._options.uri is None:
            own.mkdir(parents=True, exist_ok=True)
        self._client = self._client_of(tracking_uri=self._options.uri or f"sqlite:///{own / 'mlflow.db'}")
        experiment = self._experiment(None if self._options.uri else (own / "files").as_uri())
        found = self._client.search_runs([experiment], f"tags.`{TAG}` = '{run.name}'")
        if found:
            self._id = found[0].info.run_id
            self._client.update_run(self._id, status="RUNNING")
            return
        made = self._client.create_run(experiment, run_name=run.name, tags={TAG: run.name})
        self._id = made.info.run_id
        params = [self._entities.Param(k.replace("@", "-"), str(v)[:_LONG]) for k, v in settings(recipe).items()]
        for start in range(0, len(params), _MANY):
            self._client.log_batch(self._id, params=params[start : start + _MANY])
        self._client.log_dict(self._id, dict(recipe), "recipe.json")

    def log(self, metrics: Mapping[str, Any]) -> None:
        if self._client is not None:
            self._batch(figures(metrics), int(metrics["step"]))

    def conclude(self, results: Mapping[str, Any]) -> None:
        self._batch(summary(results), 0)
        self._client.log_dict(self._id, {"columns": COLUMNS, "data": final(results)}, "results.json")
        self._concluded = True

    def close(self) -> None:
        if self._client is not None:
            self._client.set_terminated(self._id, "FINISHED" if self._concluded else "KILLED")

    def _experiment(self, files: str | None) -> str:
        """The experiment's number; where it is made, its files lie where the server says, or beside our own store."""
        name = self._options.experiment
        known = self._client.get_experiment_by_name(name)
        found: str = known.experiment_id if known else self._client.create_experiment(name, artifact_location=files)
        return found

    def _batch(self, told: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        # '@' is no letter of MLflow's names
        self._client.log_batch(
            self._id, [self._entities.Metric(k.replace("@", "_at_"), v, now, step) for k, v in told.items()]
        )
