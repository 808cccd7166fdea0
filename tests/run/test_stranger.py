"""What a run or a recipe of somebody else may do: nothing is executed that the user did not ask for."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import marshal
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from polo.errors import PoloError
from polo.store.files import damage
from polo.store.runfolder import RunFolder
from tests.run.toy import RECIPE, Main

#: says by a file beside it that it was executed; brings a sampler
CODE = """\
from pathlib import Path

import torch
from polo import Component, Draw, hookimpl

(Path(__file__).parent / "executed").touch()


class Next:
    needs = frozenset()

    def __init__(self, options, context):
        self.n = len(context.splits.items)

    def draw(self, rows, rng, peek):
        items = (torch.from_numpy(rows.target)[:, None] + torch.arange(1, 6)) % self.n
        return Draw(items, torch.ones_like(items, dtype=torch.bool))

    def keep(self, scores, rng, progress):
        return scores.valid_rejected


@hookimpl
def polo_negative_samplers():
    return [Component(name="next", build=":Next", summary="the items next to the target")]
"""


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def evil(folder: Path, name: str = "p.py") -> tuple[Path, Path]:
    """A plugin file, and the trace that it leaves when it is executed."""
    (folder / name).write_text(CODE)
    return folder / name, folder / "executed"


@pytest.fixture
def strange(original: tuple[Path, str], tmp_path: Path) -> Path:
    """A finished run whose recipe names a plugin file that lies in the run."""
    run = Path(shutil.copytree(original[0], tmp_path / "strange"))
    evil(run)
    for name in ("resolved.yaml", "recipe.yaml"):
        text = (run / name).read_text()
        (run / name).write_text(text.replace("plugins: []\n", "") + "plugins: [p.py]\n")
    return run


WORDS = [
    ["eval", "RUN"], ["recommend", "RUN", "--history", "x"], ["validate", "RUN/resolved.yaml"],
    ["show", "RUN/resolved.yaml"], ["audit", "RUN/resolved.yaml"], ["validate", "RUN/recipe.yaml"],
    ["run", "RUN/resolved.yaml", "--profile", "none", "--dry-run"], ["run", "RUN/recipe.yaml", "--resume", "RUN"],
    ["run", "OUTSIDE", "--dry-run"], ["run", "LINK", "--dry-run"],
]  # fmt: skip


@pytest.mark.parametrize("words", WORDS, ids=lambda words: " ".join(words[:2]))
def test_a_plugin_file_of_a_run_is_asked_about_with_its_hash(
    strange: Path, polo: Main, tmp_path: Path, words: list[str]
) -> None:
    (tmp_path / "outside.yaml").write_text(f"extends: {strange / 'resolved.yaml'}\n")
    (tmp_path / "link.yaml").symlink_to(strange / "recipe.yaml")
    named = {"OUTSIDE": tmp_path / "outside.yaml", "LINK": tmp_path / "link.yaml"}
    if words[1] == "LINK":  # as seen from the link, the file lies beside it
        evil(tmp_path)
    code, _, err = polo(*(named.get(word, word.replace("RUN", str(strange))) for word in words))
    assert code == 2
    assert f"p.py (sha256 {sha256(strange / 'p.py')}) is code, which is not executed unless you say so" in err
    assert err.count("error:") == 1
    assert "--trust-plugins" in err
    assert "--plugin FILE" in err
    assert not list(tmp_path.rglob("executed"))


@pytest.mark.parametrize(
    "words",
    [["report", "RUN"], ["compare", "RUN"], ["ls", "runs", "--runs", "RUN/.."], ["cp", "RUN/recipe.yaml", "TO"]],
)
def test_what_only_reads_executes_nothing(strange: Path, polo: Main, tmp_path: Path, words: list[str]) -> None:
    named = {"TO": str(tmp_path / "copy.yaml")}
    code, _, err = polo(*(named.get(word, word.replace("RUN", str(strange))) for word in words))
    assert code == 0, err
    assert not list(tmp_path.rglob("executed"))


def test_trust_and_the_same_file_both_open_a_run(strange: Path, polo: Main, tmp_path: Path) -> None:
    show = ["show", strange / "resolved.yaml"]
    (tmp_path / "mine").mkdir()
    mine, trace = evil(tmp_path / "mine", "other_name.py")
    assert polo(*show, "--plugin", mine)[0] == 0
    assert trace.exists()
    assert not (strange / "executed").exists(), "the user's file stands for it"
    mine.write_text(CODE + "# changed\n")
    assert polo(*show, "--plugin", mine)[0] == 2
    assert not (strange / "executed").exists()
    assert polo(*show, "--no-plugin", "nosuch")[0] == 2
    assert polo(*show, "--trust-plugins")[0] == 0
    assert (strange / "executed").exists()


@pytest.mark.parametrize("command", ["validate", "show", "audit"])
def test_looking_at_a_strangers_recipe_executes_nothing(polo: Main, tmp_path: Path, command: str) -> None:
    file, trace = evil(tmp_path)
    (tmp_path / "r.yaml").write_text(RECIPE + "plugins: [p.py]\n")
    code, _, err = polo(command, tmp_path / "r.yaml")
    assert code == 2
    assert err.startswith(f"error: {tmp_path / 'r.yaml'}:")
    assert f"p.py (sha256 {sha256(file)}) is code, which is not executed unless you say so" in err
    assert not trace.exists()
    if command == "validate":
        assert polo(command, tmp_path / "r.yaml", "--plugin", file)[0] == 0
        (tmp_path / "r.yaml").write_text(RECIPE)
        assert polo(command, tmp_path / "r.yaml", f"plugins=[{file}]")[0] == 0, "an override is the user's own word"


def test_a_run_remembers_its_files_and_takes_no_others(toy: Path, polo: Main, tmp_path: Path) -> None:
    """Started from outside with one file in the recipe and one by --plugin: both are kept by path and hash."""
    place = tmp_path / "code"
    place.mkdir()
    named, trace = evil(place, "named.py")
    given = place / "given.py"
    given.write_text("")
    toy.write_text(RECIPE.replace("{use: uniform, k: 6}", "next") + "plugins: [code/named.py]\n")
    code, out, err = polo("run", toy, "--plugin", given)
    assert code == 0, err
    run = Path(out.strip().splitlines()[-1])
    told = {p["file"]: p["sha256"] for p in json.loads((run / "provenance.json").read_text())["plugins"] if "file" in p}
    assert told == {str(named): sha256(named), str(given): sha256(given)}
    code, _, err = polo("eval", run)
    assert code == 2
    for file in (named, given):
        assert f"{file} (sha256 {sha256(file)}) is code" in err
    assert polo("eval", run, "--trust-plugins")[0] == 0
    code, _, err = polo("validate", run / "resolved.yaml", "--plugin", named, "--no-plugin", "given")
    assert code == 0, err
    copy = Path(shutil.copytree(run, tmp_path / "elsewhere"))
    named.rename(tmp_path / "moved.py")
    assert polo("validate", copy / "resolved.yaml", "--plugin", tmp_path / "moved.py", "--no-plugin", "given")[0] == 0
    named.write_text(CODE + "# changed\n")
    trace.unlink()  # of the first time; what is changed would be executed anew
    for words in (["--trust-plugins"], ["--plugin", named, "--no-plugin", "given"]):
        code, _, err = polo("eval", copy, *words)
        assert code == 2
        assert f"{named} is not the one that this run began with: sha256 {told[str(named)]} then" in err
        assert f"{sha256(named)} now" in err
    assert not trace.exists()


def test_a_program_that_a_run_names_is_asked_about(original: tuple[Path, str], polo: Main, tmp_path: Path) -> None:
    """The interpreter of the scorer `vllm`: started when a run is evaluated or asked, so never unasked."""
    run = Path(shutil.copytree(original[0], tmp_path / "strange"))
    program, trace = tmp_path / "python", tmp_path / "started"
    program.write_text(f"#!/bin/sh\ntouch {trace}\nexit 3\n")
    program.chmod(0o755)
    text = (run / "resolved.yaml").read_text()
    changed = text.replace("use: policy\n    tokens_per_pass: 16384\n", f"use: vllm\n    python: {program}\n")
    assert changed != text
    (run / "resolved.yaml").write_text(changed)
    for words in (["eval", run], ["recommend", run, "--history", "x", "--scorer", "vllm"]):
        code, _, err = polo(*words)
        assert code == 2
        assert f"evaluate.scorer.python: '{program}' is a program, which is not executed unless you say so" in err
        assert "--trust-plugins" in err
        assert not trace.exists()
    assert polo("show", run / "resolved.yaml")[0] == 0, "what starts nothing asks nothing"
    code, _, err = polo("eval", run, f"evaluate.scorer.python={program}")
    assert (code, trace.exists()) == (2, True), "the user's own word"
    assert "is no Python that works" in err


def test_bytecode_beside_a_file_is_not_executed(polo: Main, tmp_path: Path) -> None:
    """A hash says what is executed only if it is the file that is executed."""
    file, trace = tmp_path / "quiet.py", tmp_path / "executed"
    file.write_text("")
    code = compile(f"open({str(trace)!r}, 'w')", str(file), "exec")
    cached = Path(importlib.util.cache_from_source(str(file)))
    cached.parent.mkdir()
    unchecked = (1).to_bytes(4, "little") + bytes(8)
    cached.write_bytes(importlib.util.MAGIC_NUMBER + unchecked + marshal.dumps(code))
    assert polo("plugins", "--plugin", file)[0] == 0
    assert not trace.exists()


def test_a_manifest_leads_nowhere_outside(tmp_path: Path) -> None:
    """Else a stranger's checkpoint has any file read, such as one without an end."""
    for name in ("/dev/zero", "../outside"):
        (tmp_path / "manifest.json").write_text(json.dumps({name: "0"}))
        assert "names a file outside" in str(damage(tmp_path))


def test_a_log_that_is_a_link_is_not_written_through(original: tuple[Path, str], tmp_path: Path) -> None:
    run = RunFolder(Path(shutil.copytree(original[0], tmp_path / "strange")))
    outside = tmp_path / "profile"
    outside.write_text("mine\n")
    for name in ("metrics.jsonl", ".lock"):
        (run.path / name).unlink(missing_ok=True)
        (run.path / name).symlink_to(outside)
    with pytest.raises(PoloError, match="cannot write"):
        run.log({"stage": "sft"})
    with pytest.raises(PoloError, match="cannot write"):
        run.claim()
    assert outside.read_text() == "mine\n"


def test_several_processes_import_nothing_from_the_current_folder(toy: Path, tmp_path: Path) -> None:
    """The command `polo` does not look there; neither do the processes that it starts."""
    (tmp_path / "numpy.py").write_text(f"open({str(tmp_path / 'executed')!r}, 'w')\nraise SystemExit(9)\n")
    started = "import sys; from polo.cli import main; sys.path.remove(''); main()"
    words = ["run", str(toy), "--processes", "2", "device=cuda", "--profile", "none"]
    done = subprocess.run([sys.executable, "-c", started, *words], capture_output=True, text=True, check=False)
    assert not (tmp_path / "executed").exists()
    assert done.returncode == 2, done.stderr
    assert "torch sees none" in done.stderr
