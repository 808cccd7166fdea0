"""What a run stands on: the code, the data and the bytes of the base that its weights were made from."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from peft import AutoPeftModelForCausalLM

from polo.run.fingerprint import training_code
from tests.run.toy import Main, command, folder_of

PLUGIN = """\
import torch
from polo import Component, Draw, hookimpl


class Neighbours:
    needs = frozenset()

    def __init__(self, options, context):
        self.n = len(context.splits.items)

    def draw(self, rows, rng, peek):
        items = (torch.from_numpy(rows.target)[:, None] + torch.arange(STEP, STEP + 5)) % self.n
        return Draw(items, torch.ones_like(items, dtype=torch.bool))

    def keep(self, scores, rng, progress):
        return scores.valid_rejected


@hookimpl
def polo_negative_samplers():
    return [Component(name="neighbours", build=":Neighbours", summary="the items next to the target")]
"""


def sampler(place: Path, step: int) -> list[str]:
    (place / "my_sampler.py").write_text(PLUGIN.replace("STEP", str(step)))
    return ["--plugin", str(place / "my_sampler.py"), "stages.prefer.sampler={use: boundary, from: neighbours}"]


def test_an_edited_inner_sampler_trains_again_and_a_finished_run_refuses_to_mix(toy: Path, tmp_path: Path) -> None:
    first = folder_of(command("run", str(toy), *sampler(tmp_path, 1)))
    before = (first / "final" / "adapter_model.safetensors").read_bytes()
    same = command("run", str(toy), *sampler(tmp_path, 1))
    assert "prefer: taken from the cache" in same.stderr
    other = command("run", str(toy), *sampler(tmp_path, 7))
    assert "sft: taken from the cache" in other.stderr
    assert "prefer: taken from the cache" not in other.stderr
    words = ["run", str(toy), *sampler(tmp_path, 7), "--resume", str(first)]
    said = command(*words, code=2).stderr
    assert "stage 'prefer' of this run was trained before a change of: the code of sampler 'neighbours'" in said
    assert "--retrain" in said
    assert (first / "final" / "adapter_model.safetensors").read_bytes() == before
    said = command(*words, "--retrain").stderr
    assert "prefer: made again after a change of: the code of sampler 'neighbours' (my_sampler.py)" in said
    theirs = (folder_of(other) / "final" / "adapter_model.safetensors").read_bytes()
    assert (first / "final" / "adapter_model.safetensors").read_bytes() == theirs != before
    assert "prefer: taken from this run" in command(*words).stderr


def test_what_only_watches_is_no_part_of_the_code_that_decides_weights() -> None:
    found = {name.rpartition(".")[2] for name in training_code().of("polo.run.stages", "polo-rec")}
    assert {"step", "passes", "loop", "reference", "candidates", "scores", "data", "randomness"} <= found
    assert not found & {"console", "errors", "report", "cli", "files", "runfolder", "words", "fingerprint"}


def test_the_code_of_a_wrapping_sampler_holds_what_it_wraps_with() -> None:
    found = training_code().of("polo_dynamicpo.boundary", "polo-rec")
    assert {"polo.plugin.wrapping", "polo.data", "polo_dynamicpo.clustering"} <= set(found)
    assert "polo.console" not in found


@pytest.mark.parametrize(
    ("fact", "then", "said"),
    [
        ("data", "other", "the data"),
        ("engine", "other", "polo's own training code"),
        ("versions", {"torch": "0.1"}, "torch (0.1 then, "),
        (None, None, "what it was made from"),
    ],
)
def test_a_finished_stage_is_not_taken_where_it_was_made_from_something_else(
    original: tuple[Path, str], toy: Path, polo: Main, tmp_path: Path, fact: str | None, then: object, said: str
) -> None:
    """A run that began with other data, code or versions than today's: named, refused, and nothing is written."""
    run = Path(shutil.copytree(original[0], tmp_path / "run"))
    kept = json.loads((run / "fingerprints.json").read_text())
    if fact is None:
        del kept["sft"]
    else:
        kept["sft"][fact] = {**kept["sft"][fact], **then} if isinstance(then, dict) else then
    (run / "fingerprints.json").write_text(json.dumps(kept))
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    code, _, err = polo("run", toy, "--resume", run)
    assert code == 2
    assert "stage 'sft' of this run was trained before a change of: " in err
    assert said in err
    assert "--retrain" in err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated")
def test_a_run_is_whole_in_itself_on_a_machine_with_an_empty_cache(
    original: tuple[Path, str], cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    copy = Path(shutil.copytree(original[0], tmp_path / "elsewhere" / "run"))
    empty = tmp_path / "empty"
    results = json.loads((copy / "results.json").read_text())
    (copy / "results.json").unlink()
    command("eval", str(copy), POLO_CACHE=str(empty))
    assert json.loads((copy / "results.json").read_text()) == results
    history = json.loads((copy / "eval" / "examples.json").read_text())[0]["history"][0]
    asked = [
        command("recommend", str(run), "--history", history, "--json", POLO_CACHE=str(place)).stdout
        for run, place in ((original[0], cache), (copy, empty))
    ]
    assert asked[0] == asked[1]
    assert not (empty / "tiny_lm").exists(), "the base was made again"
    for made in (copy / "final", copy / "stages" / "sft" / "policy"):
        began = json.loads((copy / "provenance.json").read_text())["base"]
        assert json.loads((made / "base.json").read_text()) == began
    for config in copy.rglob("adapter_config.json"):
        named = json.loads(config.read_text())["base_model_name_or_path"]
        assert not Path(named).is_absolute()
        assert (config.parent / named).resolve() == copy / "base"
    monkeypatch.chdir(copy / "final")
    model = AutoPeftModelForCausalLM.from_pretrained(".")
    assert any("lora_" in name for name, _ in model.named_parameters())


@pytest.mark.parametrize("words", [["eval"], ["recommend", "--history", "x"], ["run"]])
def test_another_base_under_the_same_options_is_refused_with_both_hashes(
    original: tuple[Path, str], toy: Path, tmp_path: Path, words: list[str]
) -> None:
    copy = Path(shutil.copytree(original[0], tmp_path / "run"))
    weights = copy / "base" / "model.safetensors"
    began = json.loads((copy / "provenance.json").read_text())["base"]["sha256"]
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.unlink()
    weights.write_bytes(bytes(data))
    if words[0] == "recommend":
        words = [*words[:2], json.loads((copy / "eval" / "examples.json").read_text())[0]["history"][0]]
    given = ["run", str(toy), "--resume", str(copy)] if words == ["run"] else [words[0], str(copy), *words[1:]]
    said = command(*given, code=2).stderr
    assert f"sha256 {began} then" in said
    assert "Traceback" not in said


def test_a_new_run_from_the_weights_of_another_stands_on_the_base_of_those(
    original: tuple[Path, str], toy: Path, polo: Main
) -> None:
    """`init_from` on a base that was made with another seed is refused; the base that the run keeps is the remedy."""
    began = json.loads((original[0] / "provenance.json").read_text())["base"]["sha256"]
    words = ["run", toy, f"init_from={original[0] / 'final'}"]
    code, _, err = polo(*words, "seed=7")
    assert code == 2
    assert f"sha256 {began} then" in err
    assert "policy.base=FOLDER" in err
    code, _, err = polo(*words, "seed=7", f"policy.base={original[0] / 'base'}", "evaluate.baselines=[]")
    assert code == 0, err


def test_the_bytes_of_the_base_are_part_of_what_a_stage_is_made_from(
    original: tuple[Path, str], toy: Path, cache: Path, tmp_path: Path
) -> None:
    """The same options with other weights, as another machine makes them: nothing of the first is taken."""
    own = Path(shutil.copytree(cache, tmp_path / "cache"))
    for base in [folder for folder in (own / "tiny_lm").iterdir() if not folder.name.startswith(".")]:
        data = bytearray((base / "model.safetensors").read_bytes())
        data[-1] ^= 1
        (base / "model.safetensors").unlink()
        (base / "model.safetensors").write_bytes(bytes(data))
        os.utime(base / "model.safetensors", (1, 1))
    references = len(list((own / "reference").iterdir()))
    said = command("run", str(toy), POLO_CACHE=str(own)).stderr
    assert "taken from the cache" not in said
    assert len(list((own / "reference").iterdir())) == references + 1


POLICY = """\
from polo import Component, hookimpl
from polo_causal_lm.policy import CausalLM


class Shifted(CausalLM):
    def score(self, rows, items):
        return super().score(rows, items) + SHIFT


@hookimpl
def polo_policies():
    options = "polo_causal_lm.options:CausalLMOptions"
    return [Component(name="shifted", build=":Shifted", options=options, summary="scores, shifted")]
"""


def test_reference_scores_of_other_code_are_not_taken(toy: Path, tmp_path: Path, cache: Path) -> None:
    """A change too small for the check of a few rows (1e-3 nats in float32) is another score all the same."""
    own, plugin = str(tmp_path / "own"), tmp_path / "my_policy.py"
    if (cache / "tiny_lm").is_dir():
        shutil.copytree(cache / "tiny_lm", Path(own) / "tiny_lm")
    toy.write_text(toy.read_text().replace("use: causal_lm", "use: shifted"))
    for count, shift in ((1, "0.0"), (1, "0.0"), (2, "2e-4")):
        plugin.write_text(POLICY.replace("SHIFT", shift))
        command("run", str(toy), "--plugin", str(plugin), "evaluate.baselines=[]", POLO_CACHE=own)
        assert len(list((Path(own) / "reference").iterdir())) == count
