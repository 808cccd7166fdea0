"""What leaves polo: that plain peft and transformers load it and score alike, its card, and what is refused."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from peft import PeftModel
from safetensors.numpy import load_file
from transformers import AutoModelForCausalLM, AutoTokenizer

from polo import load
from polo.data import Rows
from polo.door.result import Result
from polo.protocols import Embeds, Packed
from polo.report.card import card
from polo.store.files import damage
from tests.fake_hub import connected
from tests.run.toy import Main

VECTORS = """\
polo: 1
name: vectors
data: {use: demo, items: 100, users: 40, shortest: 8, longest: 12}
candidates: {n: 10}
policy: {use: mf, dim: 4}
reference: none
stages:
  first: {loss: bpr, sampler: {use: uniform, k: 4}, steps: 2, lr: 1e-2, batch: 32}
evaluate: {evaluators: [{use: hit_ratio, k: [1]}], baselines: [popularity]}
"""

#: what peft and the hub's client ask of libraries below them in ways that those wish to forget
pytestmark = [
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing` is deprecated:FutureWarning"),
    pytest.mark.filterwarnings("ignore:Use 'content=:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def text(original: tuple[Path, str], cache: Path) -> Result:
    """The toy run with its trained policy."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("POLO_CACHE", str(cache))
        result = load(original[0], quiet=True)
        assert result.policy
    return result


def exported(polo: Main, run: Path, place: Path, *words: str) -> Path:
    code, out, err = polo("export", run, "--to", place, *words)
    assert code == 0, err
    assert out.strip() == str(place)
    assert not [path.name for path in place.parent.iterdir() if path.name.startswith(".tmp")]
    return place


def rows_of(result: Result) -> Rows:
    return result._recommender.splits.test[np.arange(3)]


def scored(model: Any, tokenizer: Any, policy: Any, rows: Rows, items: np.ndarray) -> list[list[float]]:
    """Sums of log-probabilities over titles and end tokens: one forward for each, no cache, no shared prefix."""
    found = []
    for prompt, answers in policy.spelled(rows, items):
        begin = tokenizer(prompt)["input_ids"]
        line = []
        for answer in answers:
            ids = tokenizer(answer, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
            with torch.no_grad():
                logp = model(torch.tensor([begin + ids])).logits[0].log_softmax(-1)
            line.append(sum(float(logp[len(begin) - 1 + i, token]) for i, token in enumerate(ids)))
        found.append(line)
    return found


@pytest.mark.parametrize("words", [(), ("--merged",)], ids=["adapter", "merged"])
def test_others_load_it_and_it_scores_as_the_run_does(
    words: tuple[str, ...], text: Result, polo: Main, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = exported(polo, text.folder, tmp_path / "out", *words)
    assert damage(place) is None
    if words:
        assert not (place / "adapter_config.json").exists()
        model = AutoModelForCausalLM.from_pretrained(place)
    else:
        model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(place / "base"), place)
    rows, items = rows_of(text), np.tile(np.arange(7), (3, 1))
    policy: Any = text.policy
    with torch.no_grad():
        expected = policy.score(rows, torch.from_numpy(items)).numpy()
    tokenizer = AutoTokenizer.from_pretrained(place)
    assert np.array(scored(model, tokenizer, policy, rows, items)) == pytest.approx(expected, abs=1e-4)
    # the lines of the card are what the test did
    lines = (place / "README.md").read_text("utf-8").split("```python\n")[1].split("```")[0]
    told: dict[str, Any] = {}
    monkeypatch.chdir(tmp_path)
    exec(lines, told)
    mine, theirs = model.state_dict(), told["model"].state_dict()
    assert set(mine) == set(theirs)
    assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def test_vectors_with_their_ids_rank_as_the_policy_does(toy: Path, polo: Main) -> None:
    toy.write_text(VECTORS)
    code, out, err = polo("run", toy)
    assert code == 0, err
    run = Path(out.strip().splitlines()[-1])
    place = exported(polo, run, toy.parent / "out")
    result = load(run, quiet=True)
    assert isinstance(result.policy, Embeds)
    rows, items = rows_of(result), result._recommender.splits.items
    vectors = load_file(place / "vectors.safetensors")["items"]
    assert json.loads((place / "items.json").read_text()) == list(items.ids)
    with torch.no_grad():
        users = result.policy.user_vectors(rows).numpy()
        expected = result.policy.score(rows, torch.arange(len(items)).repeat(3, 1)).numpy()
    assert users @ vectors.T == pytest.approx(expected, abs=1e-6)
    weights = load_file(place / "policy.safetensors")
    assert {name: list(value.shape) for name, value in weights.items()} == json.loads(
        (place / "policy.json").read_text()
    )["shapes"]
    for words in (("--merged",), ("--base", "org/base")):
        code, _, err = polo("export", run, "--to", toy.parent / "no", *words)
        assert (code, words[0] in err) == (2, True)
        assert "is a table of vectors" in err
    assert not (toy.parent / "no").exists()


def test_the_card_tells_protocol_figures_audits_recipe_and_versions(text: Result, polo: Main, tmp_path: Path) -> None:
    place = exported(polo, text.folder, tmp_path / "out", "--base", "org/small")
    assert json.loads((place / "adapter_config.json").read_text())["base_model_name_or_path"] == "org/small"
    assert not (place / "base").exists()
    written = (place / "README.md").read_text("utf-8")
    _, head, body = written.split("---\n", 2)
    assert yaml.safe_load(head) == {
        "library_name": "peft", "base_model": "org/small", "base_model_relation": "adapter",
        "tags": ["recommendation", "preference-optimization", "polo"],
    }  # fmt: skip
    results = text.results
    assert f"## Protocol `{results['protocol']['hash']}`" in body
    for system, metrics in results["systems"].items():
        (line,) = [line for line in body.split("## Protocol")[0].splitlines() if line.startswith(f"| {system} |")]
        first = metrics["hit_ratio@1"]
        assert f"| {first['value']:.3f} [{first['low']:.3f}, {first['high']:.3f}] |" in line
    assert "| ease | baseline |" in body
    assert "| sft | an earlier stage |" in body
    assert "| model | **this model** |" in body
    checks = json.loads((text.folder / "audits.json").read_text())["checks"]
    assert len(checks) > 5
    assert all(f"| {check['name']} | {check['verdict']} |" in body for check in checks)
    recipe = yaml.safe_load(body.split("```yaml\n")[1].split("```")[0])
    assert (recipe["stages"]["prefer"]["loss"], recipe["out"]) == ({"use": "dmpo"}, ".../runs")
    facts = json.loads((text.folder / "provenance.json").read_text())
    assert f"| torch | `{facts['versions']['torch']}` |" in body
    assert facts["base"]["sha256"] in body
    assert str(Path(text.folder).parent) not in written, "no folder of this machine"


def test_what_a_run_says_cannot_break_out_of_its_cell(text: Result, tmp_path: Path) -> None:
    run = Path(shutil.copytree(text.folder, tmp_path / "strange", ignore=shutil.ignore_patterns("final", "base")))
    audits = json.loads((run / "audits.json").read_text())
    audits["checks"][0]["meaning"] = "a | b\n\n# <script>c"
    (run / "audits.json").write_text(json.dumps(audits))
    facts = json.loads((run / "provenance.json").read_text())
    facts["recipe"]["name"] = "toy\n---\n"
    facts["recipe"]["data"] = {"use": "rows", "path": "/home/somebody/file.json", "header": "```\n# end"}
    (run / "provenance.json").write_text(json.dumps(facts))
    written = card(run, Packed("a | <b>", "x"), name="name", hub=False)
    assert "| a \\| b # &lt;script>c |" in written
    assert "\n# toy ---\n" in written
    assert "somebody" not in written
    assert "````yaml" in written
    assert "a \\| &lt;b>" in written


def test_nothing_is_written_over_or_left_half_written(text: Result, polo: Main, tmp_path: Path) -> None:
    full, file = tmp_path / "full", tmp_path / "file"
    full.mkdir()
    (full / "mine").write_text("x")
    file.write_text("x")
    for place, said in ((full, "this folder is not empty"), (file, "exists already and is no folder")):
        code, _, err = polo("export", text.folder, "--to", place)
        assert (code, said in err) == (2, True), err
    assert ((full / "mine").read_text(), file.read_text()) == ("x", "x")
    empty = tmp_path / "empty"
    empty.mkdir()
    assert (exported(polo, text.folder, empty) / "README.md").is_file()
    code, _, err = polo("export", text.folder, "--to", tmp_path / "no", "--base", "../outside")
    assert (code, "is no id of a model hub" in err) == (2, True)
    damaged = Path(shutil.copytree(text.folder, tmp_path / "damaged"))
    weights = next((damaged / "final").rglob("adapter_model.safetensors"))
    weights.write_bytes(weights.read_bytes()[:-4] + b"evil")
    code, _, err = polo("export", damaged, "--to", tmp_path / "no")
    assert (code, "weights are damaged" in err) == (2, True)
    (damaged / "results.json").unlink()
    code, _, err = polo("export", damaged, "--to", tmp_path / "no")
    assert (code, "this run has not ended" in err) == (2, True)
    assert {path.name for path in tmp_path.iterdir()} == {"full", "file", "empty", "damaged"}


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "nowhere to go"),
        (("--to", "x", "--private"), "is about a repository"),
        (("--push", "three/parts/here"), "is no id of a model"),
    ],
)
def test_words_that_do_not_fit_are_refused_before_the_model_is_loaded(
    words: tuple[str, ...], said: str, text: Result, polo: Main
) -> None:
    code, _, err = polo("export", text.folder, *words)
    assert (code, said in err) == (2, True), err


def test_an_adapter_on_a_folder_of_this_machine_does_not_go_to_a_hub(text: Result, polo: Main, toy: Path) -> None:
    base = Path(shutil.copytree(text.folder / "base", toy.parent / "local"))
    made = toy.read_text().replace("base: {use: tiny_lm, hidden: 32, layers: 1, heads: 2, vocab: 400, epochs: 1}",
                                   f"base: {base}").replace("steps: 6", "steps: 1")  # fmt: skip
    toy.write_text(made)
    code, out, err = polo("run", toy, "evaluate.baselines=[]")
    assert code == 0, err
    run = out.strip().splitlines()[-1]
    code, _, err = polo("export", run, "--push", "org/toy")
    assert (code, "which nobody else has" in err) == (2, True), err
    code, _, err = polo("export", run, "--to", "out")
    assert (code, "it is loaded beside its base" in err) == (0, True), err
    assert json.loads(Path("out/adapter_config.json").read_text())["base_model_name_or_path"] == str(base)
    PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), "out")


def test_pushing_from_the_command_line(text: Result, polo: Main, tmp_path: Path, monkeypatch) -> None:
    place = tmp_path / "out"
    with connected(monkeypatch) as held:
        code, out, err = polo("export", text.folder, "--to", place, "--push", "org/toy", "--private")
        assert (code, out.strip()) == (0, f"{held.address}/org/toy"), err
        assert f"the export is in {place}" in err
        files = dict(held.repositories["org/toy"])
        assert files.pop(".gitattributes")
        here = {path.relative_to(place).as_posix(): path.read_bytes() for path in place.rglob("*.*")}
        del here["manifest.json"]
        assert files == here
        assert b"folder = snapshot_download('org/toy')" in files["README.md"]
        assert (held.private, held.commits) == ({"org/toy": True}, ["toy, by polo"])
        # one model in the place of the adapter, without a folder here
        code, out, err = polo("export", text.folder, "--push", "org/toy", "--merged")
        assert (code, "holds 11 files already" in err) == (2, True), err
        code, out, err = polo("export", text.folder, "--push", "org/toy", "--merged", "--replace")
        assert (code, out.strip()) == (0, f"{held.address}/org/toy"), err
        assert {"config.json", "model.safetensors"} < set(held.repositories["org/toy"])
        assert "adapter_config.json" not in held.repositories["org/toy"]
