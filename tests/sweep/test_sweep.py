"""``polo sweep``: trials on validation alone, the best one run, budgets, and what a kill changes (nothing)."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from polo.report.runs import open_run
from polo.report.trials import Sweep, Trial
from tests.sweep.toy import folders, until

Run = Callable[..., tuple[int, str, str]]
SPACE = ("--set", "stages.prefer.lr=log(1e-3,1e-1)", "--set", "stages.prefer.loss=dmpo,sdpo")


def told(out: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(out)
    return found


def test_trials_read_validation_alone_and_the_best_is_run_as_the_recipe_says(polo: Run, toy: Path) -> None:
    code, out, err = polo("sweep", toy, *SPACE, "--trials", 4, "--metric", "mrr", "--seeds", "0,1")
    assert code == 0, err
    place = toy.parent / "runs" / "toy-sweep"
    trials = [open_run(path) for path in sorted(place.glob("trial-*"))]
    best = [open_run(folder) for folder in folders(out)]
    assert len(trials) == 4
    assert {run.protocol["split"] for run in trials} == {"valid"}
    assert [run.protocol["split"] for run in best] == ["test", "test"]
    assert not set(trials[0].rows) & set(best[0].rows), "no row of the test is among a trial's"
    values = [run.results["systems"]["model"]["mrr"]["value"] for run in trials]
    chosen = trials[values.index(max(values))].recipe["stages"]["prefer"]
    assert [run.recipe["stages"]["prefer"] for run in best] == [chosen, chosen]
    assert [run.recipe["seed"] for run in best] == [0, 1]
    assert {(run.path / "stages" / "sft" / "cost.json").read_text() for run in trials} == {
        (best[0].path / "stages" / "sft" / "cost.json").read_text()
    }, "trained once, shared by all"
    page = (place / "report.html").read_text()
    assert all(f"trial-00{n}" in page for n in range(4))
    systems = told(polo("compare", *folders(out), "--with", "popularity", "--json")[1])["systems"]
    assert systems["toy"]["budget"]["trials"] == 4
    assert systems["toy"]["budget"]["sweeps"] == ["toy-sweep"]
    assert systems["popularity"]["budget"]["trials"] == 1
    more = polo("sweep", toy, *SPACE, "--trials", 5, "--metric", "mrr", "--seeds", "0,1", "--json")
    assert told(more[1])["counts"] == {"done": 5}, "those that were there are not tried again"
    assert len(list(place.glob("trial-*"))) == 5
    code, _, err = polo("sweep", toy, *SPACE, "--trials", 5, "--sampler", "random")
    assert (code, "began with another sampler" in err) == (2, True)


@pytest.mark.parametrize(("kills", "trials"), [((3,), 5), pytest.param((3, 6), 9, marks=pytest.mark.slow)])
def test_a_killed_sweep_has_the_trials_that_it_would_have_had(
    polo: Run, toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kills: tuple[int, ...], trials: int
) -> None:
    """Killed with SIGKILL while the fourth trial trains (and again), gone on with, and one that was left alone."""
    long = ("stages.prefer.steps=120", "stages.prefer.checkpoint=30", "stages.prefer.validate.every=30")
    words = ("sweep", str(toy), *long, *SPACE, "--trials", str(trials), "--quiet")
    place = toy.parent / "runs" / "toy-sweep"
    for number in kills:
        with subprocess.Popen([sys.executable, "-m", "polo", *words], stderr=subprocess.DEVNULL) as process:
            until(lambda n=number: [p for p in place.glob(f"trial-00{n}-*/metrics.jsonl") if p.stat().st_size], process)
            process.send_signal(signal.SIGKILL)
        assert process.returncode == -signal.SIGKILL
    code, out, err = polo(*words, "--json")
    assert code == 0, err
    killed = told(out)
    assert len(list(place.glob("trial-*"))) == trials, "no trial has two runs"
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "other"))
    whole = told(polo(*words, "--json", "out=whole")[1])
    for key in ("counts", "best", "importance"):
        assert killed[key] == whole[key]
    for one, other in zip(killed["trials"], whole["trials"], strict=True):
        assert [one[key] for key in ("number", "state", "value", "settings")] == [
            other[key] for key in ("number", "state", "value", "settings")
        ]


def test_two_processes_share_the_points_of_a_grid(polo: Run, toy: Path) -> None:
    words = ("--set", "stages.prefer.lr=log(1e-3,1e-1,2)", "--set", "stages.prefer.loss=dmpo,sdpo", "--sampler", "grid")
    code, out, err = polo("sweep", toy, *words, "--trials", 9, "--jobs", 2, "--no-prune", "--json")
    assert code == 0, err
    trials = told(out)["trials"]
    assert [list(one["settings"].values()) for one in trials] == [
        ["0.001", "dmpo"], ["0.001", "sdpo"], ["0.1", "dmpo"], ["0.1", "sdpo"],
    ]  # fmt: skip
    assert told(out)["counts"] == {"done": 4}
    assert len(list((toy.parent / "runs" / "toy-sweep").glob("trial-*"))) == 4


def test_a_trial_below_the_median_is_given_up_and_one_that_cannot_run_is_named(polo: Run, toy: Path) -> None:
    """Five good ones of lr 0.01 and a sixth of 1e6, whose ranks on the way are the worst; 1e300 overflows."""
    choices = "stages.sft.lr=0.5,0.51,0.52,0.53,0.54,1e-9,1e300"
    words = ("stages.sft.steps=40", "stages.sft.validate={rows: 40, every: 10}", "stages.prefer.steps=2")
    code, out, err = polo("sweep", toy, *words, "--set", choices, "--sampler", "grid", "--json", "--metric", "mrr")
    assert code == 0, err
    found = {one["settings"]["stages.sft.lr"]: one for one in told(out)["trials"]}
    assert [found[f"0.5{n}"]["state"] for n in ("1", "2", "3")] == ["done"] * 3
    assert found["1e-9"]["state"] == "pruned"
    assert found["1e-9"]["value"] is None
    assert found["1e300"]["state"] == "failed"
    assert found["1e300"]["error"]
    place = toy.parent / "runs" / "toy-sweep"
    assert not (place / found["1e-9"]["run"] / "results.json").exists(), "given up on the way"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--set", "stages.prefer.lr=log(1e-5,1)", "--sampler", "grid"], "is a range"),
        (["--set", "stages.prefer.loss=dmpo,dnpo"], "did you mean"),
        (["--set", "stages.prefer.lr=uniform(-1,1)"], "> 0"),
        (["--set", "stages.prefr.lr=0.1,0.2"], "stages.prefr"),
        (["--set", "stages.prefer.lr=0.1,0.2", "stages.prefer.lr=3"], "say two things"),
        (["--set", "stages.prefer.lr=0.1,0.2", "--sampler", "guess"], "one of: tpe, random, grid"),
        (["--set", "stages.prefer.lr=0.1,0.2", "data.items=5"], "data.items"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(
    polo: Run, toy: Path, words: list[str], message: str
) -> None:
    code, _, err = polo("sweep", toy, *words)
    assert code == 2
    assert message in err
    assert "Traceback" not in err
    assert not (toy.parent / "runs").exists()


def test_a_wrong_metric_is_told_with_those_that_there_are_and_costs_no_trial(polo: Run, toy: Path) -> None:
    words = ("sweep", toy, "--set", "stages.prefer.lr=0.1,0.2", "--sampler", "grid")
    code, _, err = polo(*words, "--metric", "hits")
    assert (code, "known: hit_ratio@1, mrr" in err) == (2, True)
    assert told(polo(*words, "--metric", "mrr", "--json")[1])["counts"] == {"done": 2}
    assert len(list((toy.parent / "runs" / "toy-sweep").glob("trial-*"))) == 2


def test_a_file_that_is_no_database_is_refused(polo: Run, toy: Path) -> None:
    place = toy.parent / "runs" / "toy-sweep"
    place.mkdir(parents=True)
    (place / "sweep.db").write_bytes(os.urandom(4096))
    code, _, err = polo("sweep", toy, *SPACE)
    assert code == 2
    assert "is no database of a sweep" in err
    assert "Traceback" not in err


def test_the_best_is_the_first_of_the_highest_and_so_far_never_falls() -> None:
    values = [0.2, None, 0.3, 0.3, 0.1]
    trials = [Trial(n, "done" if v else "failed", v, None, {}) for n, v in enumerate(values)]
    facts = Sweep("u", "s", "m", [], [], "random", trials, {})
    assert facts.best == trials[2]
    assert [one.number for one in facts.ranked()] == [2, 3, 0, 4, 1]
    assert facts.so_far() == [(1.0, 0.2), (3.0, 0.3), (4.0, 0.3), (5.0, 0.3)]
    assert facts.counts() == {"done": 4, "failed": 1}
