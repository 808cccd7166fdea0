"""``polo run`` from YAML to results, through the command line, in processes of its own where that matters."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from safetensors.torch import load_file

from polo.cli import main
from tests.run.toy import command, folder_of, killed, metrics


@pytest.fixture
def finished(original: tuple[Path, str], tmp_path: Path) -> Path:
    """A copy of a finished run, to do with as one likes."""
    return Path(shutil.copytree(original[0], tmp_path / "finished"))


def test_the_run_ends_with_a_table_and_its_folder(original: tuple[Path, str]) -> None:
    folder, said = original
    assert folder.is_absolute()
    assert folder.is_dir()
    for system in ("random", "popularity", "item_knn", "markov", "sft", "model", "best_possible"):
        assert any(line.startswith(system + " ") for line in said.splitlines()), system


def test_a_run_leaves_everything_that_its_folder_promises(finished: Path) -> None:
    results = json.loads((finished / "results.json").read_text())
    assert {"random", "popularity", "item_knn", "markov", "sft", "model", "best_possible"} <= set(results["systems"])
    assert results["rows"] == 40
    hit = results["systems"]["model"]["hit_ratio@1"]
    assert 0 <= hit["low"] <= hit["value"] <= hit["high"] <= 1
    assert results["protocol"]["hash"]
    for name in ("recipe.yaml", "resolved.yaml", "provenance.json", "metrics.jsonl", "final/adapter_config.json"):
        assert (finished / name).is_file(), name
    scores = pq.read_table(finished / "eval" / "scores-model.parquet").to_pydict()
    assert len(scores["row"]) == 40
    assert len(scores["scores"][0]) == len(scores["candidates"][0]) == 10
    table = pq.read_table(finished / "eval" / "per_row.parquet").to_pydict()
    assert sum(table["model/hit_ratio@1"]) / 40 == pytest.approx(hit["value"])
    assert set(table["user"]) == set(scores["user"])


def test_the_second_run_takes_its_stages_from_the_cache_and_gets_the_same_numbers(finished: Path, toy: Path) -> None:
    done = command("run", str(toy))
    again = folder_of(done)
    assert "sft: taken from the cache" in done.stderr
    assert "prefer: taken from the cache" in done.stderr
    assert json.loads((again / "results.json").read_text()) == json.loads((finished / "results.json").read_text())


def test_another_objective_shares_the_sft_stage(finished: Path, toy: Path) -> None:
    done = command("run", str(toy), "stages.prefer.loss=sdpo")
    assert "sft: taken from the cache" in done.stderr
    assert "prefer: taken from the cache" not in done.stderr


def test_a_stage_starts_where_it_says_whatever_was_trained_between(
    finished: Path, toy: Path, cache: Path, tmp_path: Path
) -> None:
    """Stages sft, other, prefer: with ``start: sft`` the last ends with the weights that it has without the other."""
    other = "  other: {loss: sft, steps: 2, lr: 1e-2, batch: 16}\n  prefer:\n    start: sft"
    toy.write_text(toy.read_text().replace("  prefer:", other))
    done = command("run", str(toy), POLO_CACHE=str(tmp_path / "fresh"))
    folder = folder_of(done)
    assert "taken from the cache" not in done.stderr
    where = "stages/prefer/policy/adapter_model.safetensors"
    assert (folder / where).read_bytes() == (finished / where).read_bytes()
    assert "other" in json.loads((folder / "results.json").read_text())["systems"]
    assert "prefer: taken from the cache" in command("run", str(toy), POLO_CACHE=str(cache)).stderr


#: objectives whose parts remember something from step to step
REMEMBERING = {
    "dynamicpo": [],
    "alpha_dpo, batch_dynamic, self_play": [
        "stages.prefer.sampler={use: self_play, from: {use: popularity, k: 8}, k: 3}",
        "stages.prefer.beta={use: batch_dynamic, momentum: 0.5}",
        "stages.prefer.loss=alpha_dpo",
    ],
    "bco + sdpo_sampled, cosine, curriculum": [
        "stages.prefer.sampler={use: curriculum, from: {use: in_batch, k: 8}}",
        "stages.prefer.beta={use: cosine, start: 1.0, end: 0.1}",
        "stages.prefer.loss={use: sum, of: [{loss: bco}, {weight: 0.5, loss: sdpo_sampled}]}",
    ],
}


@pytest.mark.parametrize("objective", REMEMBERING)
def test_a_killed_run_goes_on_and_ends_with_the_same_weights_and_metrics(
    toy: Path, tmp_path: Path, cache: Path, objective: str
) -> None:
    """Killed with SIGKILL when stage ``prefer`` reports its third step, then continued."""
    own = str(tmp_path / "cache-a")
    shutil.copytree(cache / "tiny_lm", Path(own) / "tiny_lm") if (cache / "tiny_lm").is_dir() else None
    changes = REMEMBERING[objective]
    whole = folder_of(command("run", str(toy), *changes, POLO_CACHE=own))
    shutil.rmtree(Path(own) / "stages")
    killed("prefer step 3:", "run", str(toy), "out=cut", *changes, POLO_CACHE=own)
    (folder,) = (tmp_path / "cut").glob("toy-*")
    assert not (folder / "results.json").exists(), "the run ended before it could be killed"
    again = folder_of(command("run", str(toy), "out=cut", *changes, "--resume", str(folder), POLO_CACHE=own))
    assert again == folder
    assert metrics(again) == metrics(whole)
    a, b = (load_file(f / "final" / "adapter_model.safetensors") for f in (whole, again))
    assert all((a[name] == b[name]).all() for name in a)
    assert json.loads((again / "results.json").read_text()) == json.loads((whole / "results.json").read_text())


def test_resume_with_a_changed_recipe_is_refused_and_names_what_differs(finished: Path, toy: Path) -> None:
    done = command("run", str(toy), "stages.prefer.lr=0.5", "--resume", str(finished), code=2)
    assert "stages.prefer.lr" in done.stderr
    assert "Traceback" not in done.stderr


def test_two_processes_give_the_weights_of_one(toy: Path, tmp_path: Path) -> None:
    """Gradients of the ranks are summed in another order, so equality is up to float32 rounding over 9 steps."""
    one = folder_of(command("run", str(toy), "out=one", POLO_CACHE=str(tmp_path / "a")))
    done = command("run", str(toy), "out=two", "--processes", "2", POLO_CACHE=str(tmp_path / "b"))
    two = folder_of(done)
    assert len(list((tmp_path / "two").iterdir())) == 1
    a, b = (load_file(f / "final" / "adapter_model.safetensors") for f in (one, two))
    assert max(float((a[name] - b[name]).abs().max()) for name in a) < 2e-5
    losses = [[line["loss"] for line in metrics(f) if "loss" in line] for f in (one, two)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-4)


def test_dry_run_shows_the_plan_and_writes_nothing(toy: Path, tmp_path: Path) -> None:
    done = command("run", str(toy), "--dry-run")
    assert "prefer: boundary x dual_margin x dmpo" in done.stderr
    assert not (tmp_path / "runs").exists()


def test_eval_under_another_protocol_keeps_the_first_results(finished: Path) -> None:
    before = (finished / "results.json").read_text()
    command("eval", str(finished), "evaluate.split=valid")
    assert (finished / "results.json").read_text() == before
    (other,) = finished.glob("eval-*/results.json")
    assert json.loads(other.read_text())["protocol"]["split"] == "valid"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["stages.prefer.sampler=null"], "needs negatives"),
        (["stages.prefer.sampler=null"], "one of: catalogue, given, in_batch, policy, popularity, top, uniform"),
        (["reference=none"], "needs a reference"),
        (["stages.prefer.loss=sdpo_sampled"], "sampler 'boundary' does not say"),
        (["stages.prefer.loss=sdpo_sampled"], "draw with one of: in_batch, policy, popularity"),
        (["candidates.n=200"], "fewer candidates than asked"),
        (["policy.lora.targets=[no_such_layer]"], "no_such_layer"),
        (["policy.base=./nowhere"], "nowhere"),
        (["data={use: lastfm, path: ./nowhere}"], "nowhere"),
        (["device=cuda"], "GPU"),
        (["policy.max_tokens=8"], "max_tokens"),
        (["candidates.negatives=file"], "uniform"),
    ],
)
def test_bad_input_ends_with_one_message_and_leaves_nothing(
    toy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(toy), *words])
    said = capfd.readouterr().err
    assert stopped.value.code == 2, said
    assert message in said
    assert "Traceback" not in said
    assert not (tmp_path / "runs").exists()


def test_a_sampler_of_the_best_items_is_refused_where_the_policy_does_not_find_them(
    toy: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from polo_causal_lm.topk.finder import FindsTitles

    monkeypatch.delattr(FindsTitles, "top_items")
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(toy), "stages.prefer.sampler={use: hard, from: {use: top}}"])
    said = capfd.readouterr().err
    assert stopped.value.code == 2, said
    assert "needs the best items of the catalogue; policy 'causal_lm' finds none" in said


def test_a_read_only_place_for_runs_is_one_message(
    toy: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SystemExit) as stopped:
        main(["run", str(toy), f"out={tmp_path / 'file' / 'below'}"])
    assert stopped.value.code == 2
    assert "cannot make a run folder" in capfd.readouterr().err
