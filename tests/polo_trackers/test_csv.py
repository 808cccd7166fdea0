"""The tracker ``csv``, which needs no library, and what all trackers say alike."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest

from polo import InputError, run
from polo.testing import context, parametrize_with_checks
from polo_trackers.figures import library, markdown
from polo_trackers.options import CsvOptions
from polo_trackers.table import Csv
from tests.polo_trackers.world import RECIPE, followed, lines


@parametrize_with_checks("tracker", "csv")
def test_contract(check) -> None:
    check()


def read(file: Path) -> list[list[str]]:
    with file.open(newline="") as opened:
        return list(csv.reader(opened))


def test_a_run_that_is_stopped_and_goes_on_has_every_figure_once(tmp_path: Path, monkeypatch) -> None:
    result = followed(tmp_path, ["csv"], monkeypatch)
    head, *rows = read(result.folder / "trackers" / "metrics.csv")
    assert head == ["stage", "step", "metric", "value"]
    figures = {
        (line["stage"], str(line["step"]), name): repr(value)
        for line in lines(result)
        for name, value in line.items()
        if name not in ("stage", "step")
    }
    told = {(stage, step, metric): value for stage, step, metric, value in rows}
    assert len(told) == len(rows), "every figure once"
    assert told == figures
    assert {"rewards/margins", "logps/chosen", "loss", "learning_rate"} <= {metric for _, _, metric in told}
    settings = dict(read(result.folder / "trackers" / "settings.csv")[1:])
    assert settings["stages.second.lr"] == "0.01"
    assert settings["trackers.0.use"] == "csv"
    results = read(result.folder / "trackers" / "results.csv")[1:]
    assert {(s, m): float(v) for s, m, v, *_ in results} == {
        (system, metric): figure["value"]
        for system, metrics in result.results["systems"].items()
        for metric, figure in metrics.items()
    }


def tracker(folder: Path) -> Csv:
    made = Csv(CsvOptions(), context())
    made.begin(folder, {"seed": 0})
    return made


def line(step: int, loss: float) -> dict[str, Any]:
    return {"stage": "s", "step": step, "loss": loss}


def test_a_stage_that_is_trained_again_has_its_new_figures(tmp_path: Path) -> None:
    first = tracker(tmp_path)
    for step, loss in enumerate([0.5, 0.4]):
        first.log(line(step, loss))
    second = tracker(tmp_path)
    for step, loss in enumerate([0.5, 0.3, 0.2]):
        second.log(line(step, loss))
    second.close()
    told = [row[1:] for row in read(tmp_path / "trackers" / "metrics.csv")[1:]]
    assert told == [["0", "loss", "0.5"], ["1", "loss", "0.3"], ["2", "loss", "0.2"]]


def test_lines_are_on_the_disk_before_the_run_ends_and_half_a_line_is_forgotten(tmp_path: Path) -> None:
    tracker(tmp_path).log(line(0, 0.5))
    file = tmp_path / "trackers" / "metrics.csv"
    assert read(file)[1:] == [["s", "0", "loss", "0.5"]]
    file.write_text(file.read_text() + "s,1,lo")
    tracker(tmp_path).log(line(1, 0.4))
    assert read(file)[1:] == [["s", "0", "loss", "0.5"], ["s", "1", "loss", "0.4"]]


def test_a_file_name_that_leads_elsewhere_is_refused() -> None:
    with pytest.raises(InputError, match="is no file name"):
        Csv(CsvOptions(file="../metrics.csv"), context())


def test_a_library_that_is_missing_is_named_before_anything_is_written(tmp_path: Path, monkeypatch) -> None:
    with pytest.raises(InputError, match=r"pip install \"polo-rec\[thing\]\""):
        library("no_such_library_at_all", "thing")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    (tmp_path / "tracked.yaml").write_text(RECIPE)
    monkeypatch.setattr("polo_trackers.wandb.library", lambda module, extra: library("no_such_library_at_all", extra))
    with pytest.raises(InputError, match="tracker 'wandb' needs no_such_library_at_all"):
        run("tracked.yaml", {"trackers": ["wandb"]}, quiet=True)
    assert not (tmp_path / "runs").exists()


def test_a_table_in_markdown() -> None:
    assert markdown(["a|b", "c"], [["x", 0.5]]) == "| a\\|b | c |\n| --- | --- |\n| x | 0.5000 |"
