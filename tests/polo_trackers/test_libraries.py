"""Trackers with the real libraries, which write to this disk and send nothing: ``nox -s trackers``."""

from __future__ import annotations

import json
import socket
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from polo.testing import check_component
from tests.polo_trackers.world import curve, followed

pytestmark = pytest.mark.trackers

NAMES = ("loss", "rewards/margins", "logps/chosen", "learning_rate", "valid/hit_ratio@1")


@pytest.fixture(scope="module", autouse=True)
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Trackio's, which it looks for once, when it is imported."""
    place = tmp_path_factory.mktemp("trackio")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRACKIO_DIR", str(place))
        yield place


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow", "trackio"])
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


def test_trackio(tmp_path: Path, monkeypatch, capfd, store: Path) -> None:
    monkeypatch.setenv("TRACKIO_SPACE_ID", "nobody/nowhere")  # where trackio.init would send everything
    monkeypatch.setenv("HF_TOKEN", "hf_nobody")  # whose name a run of trackio's own would ask the hub for
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, place: asked.append(place))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *place, **_: asked.append(place))
    import trackio

    own, mark = trackio.context_vars.current_run, object()
    own.set(mark)
    result = followed(tmp_path, [{"use": "trackio", "project": "mine"}], monkeypatch)
    assert own.get() is mark, "a run of the user's own is not touched"
    own.set(None)
    assert asked == [], "nothing is sent"
    assert "rackio" not in capfd.readouterr().out
    with sqlite3.connect(store / "mine.db") as database:
        told = database.execute("SELECT run_id, run_name, step, metrics FROM metrics").fetchall()
        configs = database.execute("SELECT run_name, config FROM configs").fetchall()
    assert {(run, name) for run, name, *_ in told} == {(result.folder.name, result.folder.name)}, "twice the same id"
    assert {name for name, _ in configs} == {result.folder.name}
    assert json.loads(configs[0][1])["stages"]["second"]["lr"] == 0.01
    lines = [(step, json.loads(figures)) for *_, step, figures in told]
    for stage in ("first", "second"):
        for name in NAMES:
            seen = [(step, figures[f"{stage}/{name}"]) for step, figures in lines if f"{stage}/{name}" in figures]
            assert dict(seen) == pytest.approx(curve(result, stage, name)), name
            assert len(seen) == len(dict(seen)), "every figure once"
    (last,) = (figures for _, figures in lines if "results" in figures)
    assert last["final/hit_ratio@1"] == pytest.approx(result.metrics["model"]["hit_ratio@1"])
    rows = {(row["system"], row["metric"]): row["value"] for row in last["results"]["_value"]}
    assert rows[("popularity", "hit_ratio@1")] == pytest.approx(result.metrics["popularity"]["hit_ratio@1"])
