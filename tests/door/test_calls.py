"""What a notebook calls: the same runs, figures and errors as the command line, and nothing that ends the process."""

from __future__ import annotations

import inspect
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from polo import evaluate, load, recommend, run
from polo.door.calls import words
from polo.door.result import Result
from polo.errors import InputError, PoloError, RecipeError
from polo.train import loop

RECIPE = """\
polo: 1
name: small
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10}
policy: {use: mf, dim: 4}
reference: none
stages:
  prefer: {loss: bpr, sampler: {use: uniform, k: 4}, steps: 5, lr: 1e-2, batch: 32, validate: {rows: 20}}
evaluate: {evaluators: [{use: hit_ratio, k: [1, 5]}], baselines: [popularity]}
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("POLO_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(RECIPE)
    return tmp_path


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Result:
    place = tmp_path_factory.mktemp("door")
    (place / "small.yaml").write_text(RECIPE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLO_CACHE", str(place / "cache"))
        return run(place / "small.yaml", {"out": place / "runs", "seed": 3}, quiet=True)


def test_importing_the_functions_loads_no_torch_and_they_are_what_they_say() -> None:
    code = (
        "import sys; from polo import load, run, evaluate, recommend\n"
        "print([name for name in ('torch', 'transformers', 'typer') if name in sys.modules])\n"
        "import inspect; print([list(inspect.signature(f).parameters)[0] for f in (load, run, evaluate, recommend)])\n"
        "from polo.run.opening import has_gpu; from polo import run as again; print(again is run, callable(again))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["[]", "['run', 'recipe', 'run', 'run']", "True True"]


def test_a_room_that_is_called_takes_the_arguments_of_its_function_and_no_others() -> None:
    assert list(inspect.signature(run).parameters)[:2] == ["recipe", "overrides"]
    with pytest.raises(TypeError, match="nonsense"):
        run("small.yaml", nonsense=1)
    with pytest.raises(TypeError, match="recipe"):
        run()


def test_a_result_is_what_the_run_wrote(finished) -> None:
    wrote = json.loads((finished.folder / "results.json").read_text())
    assert finished.results == wrote
    assert set(finished.metrics) == {"popularity", "model"}
    for system, figures in wrote["systems"].items():
        for metric, figure in figures.items():
            assert finished.metrics[system][metric] == figure["value"]
    recipe = json.loads((finished.folder / "provenance.json").read_text())["recipe"]
    assert recipe["seed"] == 3
    assert finished.folder.parent == Path(recipe["out"])


def test_the_table_is_that_of_the_command_line(finished, polo, place: Path) -> None:
    _, out, _ = polo("run", "small.yaml", "seed=3", f"out={place}")
    assert out.strip().splitlines()[:-1] == [*finished.table().splitlines(), ""]
    assert repr(finished) == f"{finished.table()}\n{finished.folder}"


def test_html_holds_every_cell_and_nothing_that_a_run_could_inject(finished) -> None:
    html = finished._repr_html_()
    assert html.count("<tr>") == 3
    value = finished.results["systems"]["model"]["hit_ratio@1"]["value"]
    assert f"{value:.3f} [" in html
    hostile = {**finished.results, "systems": {"<script>": finished.results["systems"]["model"]}, "comparisons": []}
    shown = type(finished)(Path("<img>"), hostile)._repr_html_()
    assert "<script>" not in shown
    assert "<img>" not in shown
    assert "&lt;script&gt;" in shown


def test_the_policy_has_the_final_weights_and_scores(finished, place: Path) -> None:
    policy = finished.policy
    (file,) = finished.folder.glob("final/*.safetensors")
    weights = load_file(file)
    own = policy.module.state_dict()
    assert weights
    assert all(torch.equal(own[name], value) for name, value in weights.items())
    assert finished.policy is policy


def test_recommending_is_that_of_the_command_line(finished, polo, place: Path) -> None:
    code, out, _ = polo("recommend", finished.folder, "--history", titles(finished)[0], "--top", 3, "--json")
    assert code == 0
    asked = finished.recommend([titles(finished)[0]], top=3)
    assert asked == json.loads(out)["ranked"]
    assert [one["rank"] for one in asked] == [1, 2, 3]


def titles(result) -> list[str]:
    return list(result._recommender.splits.items.titles)


def test_loading_and_evaluating_again(finished) -> None:
    again = load(finished.folder, quiet=True)
    assert (again.folder, again.metrics) == (finished.folder, finished.metrics)
    valid = evaluate(again, {"evaluate.split": "valid", "evaluate.rows": 30}, quiet=True)
    assert (valid.results["rows"], valid.results["protocol"]["split"]) == (30, "valid")
    assert load(finished.folder).results == finished.results, "another protocol has a file of its own"
    assert recommend(finished, [titles(finished)[0]], top=2) == finished.recommend([titles(finished)[0]], top=2)


@pytest.mark.parametrize(
    ("overrides", "error"),
    [
        ({"stages.prefer.loss": "bpx"}, "did you mean 'bpr'"),
        ({"sed": 3}, "unknown key 'sed'"),
        ({"seed": -1}, "seed"),
        ({"seed": object()}, "cannot stand in a recipe"),
        (["seed=3"], "overrides are a mapping"),
    ],
)
def test_errors_are_those_of_the_command_line_and_nothing_is_written(place: Path, overrides, error: str) -> None:
    with pytest.raises(InputError) as caught:
        run("small.yaml", overrides)
    assert error in str(caught.value)
    assert not (place / "runs").exists()


def test_the_text_of_an_error_is_that_on_stderr(place: Path, request: pytest.FixtureRequest) -> None:
    with pytest.raises(RecipeError) as caught:
        run("small.yaml", {"stages.prefer.lr": "fast", "name": 3})
    command = request.getfixturevalue("polo")
    code, _, err = command("run", "small.yaml", "stages.prefer.lr=fast", "name=3")
    assert code == 2
    for problem in caught.value.problems:
        assert f"error: {problem.where}: {problem.what}" in err


@pytest.mark.parametrize("call", [load, evaluate])
def test_a_folder_that_is_no_run(tmp_path: Path, call) -> None:
    with pytest.raises(PoloError, match="not the folder of a run"):
        call(tmp_path)


def test_words_of_overrides() -> None:
    given = {"a": np.float64(1e-5), "b": np.int64(3), "c": Path("x y"), "d": ("1e-5", None, True), "e": {"use": "no"}}
    assert words(given) == ["a=1e-05", "b=3", 'c="x y"', 'd=["1e-5", null, true]', "e={use: no}"]
    assert words(None) == []


def test_two_runs_of_one_process_may_have_unlike_precision(place: Path, finished) -> None:
    other = run("small.yaml", {"precision": "bf16", "seed": 3}, quiet=True)
    again = run("small.yaml", {"precision": "fp32", "seed": 3}, quiet=True)
    assert again.metrics == finished.metrics
    assert other.metrics["popularity"] == finished.metrics["popularity"]


def test_quiet_says_nothing_and_loud_says_what_the_command_line_says(place: Path, capfd) -> None:
    run("small.yaml", {"seed": 5}, quiet=True)
    assert capfd.readouterr() == ("", "")
    run("small.yaml", {"seed": 6})
    out, err = capfd.readouterr()
    assert out == ""
    assert "audits:" in err


def test_quiet_on_the_command_line_leaves_the_table_and_the_folder(place: Path, polo, finished) -> None:
    code, out, err = polo("run", "small.yaml", "seed=3", "--quiet")
    assert (code, err) == (0, "")
    *told, folder = out.strip().splitlines()
    assert told == [*finished.table().splitlines(), ""]
    again = polo("eval", folder, "evaluate.rows=20", "-q")
    assert (again[0], again[2]) == (0, "")
    assert again[1].splitlines()[-1] == folder


def test_a_run_that_is_stopped_goes_on(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = run("small.yaml", {"seed": 7, "stages.prefer.checkpoint": 2}, quiet=True)
    real, calls = loop.step_metrics, []

    def stopping(*words):
        calls.append(1)
        if len(calls) == 3:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*words)

    monkeypatch.setattr(loop, "step_metrics", stopping)
    monkeypatch.setenv("POLO_CACHE", str(place / "other"))
    with pytest.raises(KeyboardInterrupt, match="after step 3 of 5"):
        run("small.yaml", {"seed": 7, "stages.prefer.checkpoint": 2, "out": "stopped"}, quiet=True)
    (folder,) = (place / "stopped").iterdir()
    with pytest.raises(InputError, match="has not ended"):
        load(folder)
    again = run("small.yaml", {"seed": 7, "stages.prefer.checkpoint": 2, "out": "stopped"}, resume=folder, quiet=True)
    assert again.folder == folder
    assert again.metrics == whole.metrics
