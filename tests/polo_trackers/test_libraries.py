"""Trackers with the real libraries, which write to this disk and send nothing: ``nox -s trackers``."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from polo.testing import check_component
from tests.polo_trackers.world import curve, followed

pytestmark = pytest.mark.trackers

NAMES = ("loss", "rewards/margins", "logps/chosen", "learning_rate", "valid/hit_ratio@1")


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_contract(name: str) -> None:
    for check in check_component("tracker", name):
        check()


def test_tensorboard(tmp_path: Path, monkeypatch) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    result = followed(tmp_path, ["tensorboard"], monkeypatch)
    place = result.folder / "trackers" / "tensorboard"
    assert {path.name for path in place.iterdir()} == {"run", "first", "second"}
    for stage in ("first", "second"):
        seen = EventAccumulator(str(place / stage))
        seen.Reload()
        for name in NAMES:
            told = {event.step: event.value for event in seen.Scalars(f"{stage}/{name}")}
            assert told == pytest.approx(curve(result, stage, name), rel=1e-5), name
    seen = EventAccumulator(str(place / "run"))
    seen.Reload()
    assert "recipe/text_summary" in seen.Tags()["tensors"]
    assert "results/text_summary" in seen.Tags()["tensors"]
    (final,) = seen.Scalars("final/hit_ratio@1")
    assert final.value == pytest.approx(result.metrics["model"]["hit_ratio@1"], rel=1e-5)


def test_wandb(tmp_path: Path, monkeypatch) -> None:
    import wandb

    from tests.polo_trackers.wandb_file import records

    result = followed(tmp_path, [{"use": "wandb", "project": "mine"}], monkeypatch)
    wandb.teardown()  # its own process writes the rest of its file when it ends, as it does with this one
    files = sorted((result.folder / "trackers" / "wandb").glob("offline-run-*/*.wandb"))
    assert [file.name for file in files] == [f"run-{result.folder.name}.wandb"] * 2, "twice the same id"
    told = [record for file in files for record in records(file)]
    runs = [record.run for record in told if record.WhichOneof("record_type") == "run"]
    assert {(run.run_id, run.display_name, run.project) for run in runs} == {
        (result.folder.name, result.folder.name, "mine")
    }
    config = {item.key: json.loads(item.value_json) for run in runs for item in run.config.update}
    assert config["stages"]["second"]["lr"] == 0.01
    history = [
        {".".join(item.nested_key) or item.key: json.loads(item.value_json) for item in record.history.item}
        for record in told
        if record.WhichOneof("record_type") == "history"
    ]
    for name in NAMES:
        seen = {one["second/step"]: one[f"second/{name}"] for one in history if f"second/{name}" in one}
        assert seen == pytest.approx(curve(result, "second", name)), name
    assert any("results" in one or "results._type" in one for one in history)
    summary = {
        ".".join(item.nested_key) or item.key: json.loads(item.value_json)
        for record in told
        for item in (*record.summary.update, *record.run.summary.update)
    }
    assert summary["final/hit_ratio@1"] == pytest.approx(result.metrics["model"]["hit_ratio@1"])


def test_mlflow(tmp_path: Path, monkeypatch) -> None:
    from mlflow.tracking import MlflowClient

    result = followed(tmp_path, [{"use": "mlflow", "experiment": "mine"}], monkeypatch)
    client = MlflowClient(tracking_uri=f"sqlite:///{result.folder}/trackers/mlflow/mlflow.db")
    experiment = client.get_experiment_by_name("mine")
    assert experiment is not None
    (one,) = client.search_runs([experiment.experiment_id])
    assert one.info.run_name == result.folder.name
    assert one.info.status == "FINISHED"
    assert one.data.params["stages.second.lr"] == "0.01"
    for name in NAMES:
        found = client.get_metric_history(one.info.run_id, f"second/{name}".replace("@", "_at_"))
        assert {metric.step: metric.value for metric in found} == pytest.approx(curve(result, "second", name)), name
    assert one.data.metrics["final/hit_ratio_at_1"] == pytest.approx(result.metrics["model"]["hit_ratio@1"])
    assert {artifact.path for artifact in client.list_artifacts(one.info.run_id)} == {"recipe.json", "results.json"}
