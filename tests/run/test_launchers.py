"""``--launcher`` and ``--into``: who starts the processes of a run, and in which folder it begins or goes on."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import pytest

from polo.context import Context
from polo.errors import PoloError
from polo.protocols import Work
from polo.run.launching import launched, reserved
from polo.run.processes import Local, LocalOptions
from tests.run.toy import OVER_IDS, Main

#: a launcher that starts nothing: it shows what it was given
SHOWS = """
import json

from polo import Component, hookimpl


class Shows:
    def __init__(self, options, context):
        pass

    def launch(self, work):
        print(json.dumps([work.processes, *work.words]))
        return 7


@hookimpl
def polo_launchers():
    return [Component(name="shows", build=":Shows", options=None, summary="shows what it was given", source="none")]
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "toy.yaml").write_text(OVER_IDS)
    (tmp_path / "shows.py").write_text(SHOWS)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["polo", "run", "toy.yaml"])
    return tmp_path


def local(restarts: int, said: list[str]) -> Local:
    def refuse(choice: object) -> object:
        raise AssertionError

    context = Context(seed=0, cache=Path(), build=refuse, say=said.append)
    return Local(LocalOptions(restarts=restarts), context)


def work(text: str, *words: str) -> Work:
    return Work(words=(sys.executable, "-c", f"import os, signal, sys\nrank = int(os.environ['RANK'])\n{text}", *words),
                processes=2)  # fmt: skip


def fails_at_first(how: str, marker: Path) -> Work:
    """Rank 1 fails unless there is a file, which it makes."""
    return work(f"if rank == 1 and not os.path.exists(sys.argv[1]):\n  open(sys.argv[1], 'w')\n  {how}", str(marker))


@pytest.mark.parametrize("how", ["sys.exit(1)", "os.kill(os.getpid(), signal.SIGKILL)"])
def test_processes_begin_again_after_one_was_lost(how: str, tmp_path: Path) -> None:
    said: list[str] = []
    assert local(1, said).launch(fails_at_first(how, tmp_path / "marker")) == 0
    (line,) = said
    assert "all begin again from the newest checkpoint (1 of 1)" in line


def test_what_fails_once_more_than_there_are_restarts_has_failed() -> None:
    said: list[str] = []
    assert local(1, said).launch(work("sys.exit(rank)")) == 1
    with pytest.raises(PoloError, match="ended by SIGKILL"):
        local(1, said).launch(work("os.kill(os.getpid(), signal.SIGKILL)"))
    assert len(said) == 2


@pytest.mark.parametrize("code", [2, 130])
def test_a_mistake_and_an_interruption_are_no_failures(code: int) -> None:
    said: list[str] = []
    assert local(3, said).launch(work(f"sys.exit({code})")) == code
    assert said == []


def test_a_folder_that_nobody_wrote_to_is_taken_back(tmp_path: Path) -> None:
    with reserved(tmp_path / "a" / "runs", "toy") as folder:
        assert folder.is_dir()
    assert list(tmp_path.iterdir()) == []
    with reserved(tmp_path / "runs", "toy") as folder:
        (folder / "eval" / "file").touch()
    assert [path.name for path in (tmp_path / "runs").rglob("*") if path.is_file()] == ["file"]


def test_processes_are_told_the_folder_of_a_new_run(tmp_path: Path) -> None:
    given: list[Work] = []

    class Keeps:
        def launch(self, work: Work) -> int:
            given.append(work)
            return 0

    with reserved(tmp_path, "toy") as folder:
        pass
    assert launched(Keeps(), ["run", "toy.yaml"], 3, reserved(tmp_path, "toy")) == 0
    assert launched(Keeps(), ["run", "toy.yaml", "--resume", str(folder)], 3, None) == 0
    new, old = given
    assert new.words[-4:-1] == ("run", "toy.yaml", "--into")
    assert Path(new.words[-1]).parent == tmp_path
    assert old.words[-2:] == ("--resume", str(folder))
    assert new.processes == old.processes == 3


def test_a_launcher_can_be_a_plugin_s(polo: Main, place: Path) -> None:
    code, out, _ = polo("run", "toy.yaml", "--plugin", "shows.py", "--launcher", "shows", "--processes", "3")
    processes, *words = json.loads(out)
    assert (code, processes) == (7, 3)
    assert words[-2] == "--into"
    assert not (place / "runs").exists(), "the launcher ran nothing, so nothing is left"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("slurp", "--launcher: unknown launcher 'slurp'"),
        ("{use: local, restart: 2}", "unknown key 'restart'"),
        ("{use: local, restarts: -1}", "restarts: found number -1"),
        ("{use: [", "--launcher"),
    ],
)
def test_a_launcher_that_cannot_be_used_is_told_before_anything_starts(
    text: str, told: str, polo: Main, place: Path
) -> None:
    code, _, err = polo("run", "toy.yaml", "--launcher", text)
    assert code == 2
    assert told in err
    assert not (place / "runs").exists()


def test_into_begins_a_run_and_then_goes_on_in_it(polo: Main, place: Path) -> None:
    code, out, _ = polo("run", "toy.yaml", "--into", "mine")
    assert (code, out.splitlines()[-1]) == (0, str(place / "mine"))
    before = (place / "mine" / "final" / "manifest.json").read_bytes()
    shutil.rmtree(place / "mine" / "final")
    code, out, err = polo("run", "toy.yaml", "--into", "mine")
    assert (code, out.splitlines()[-1]) == (0, str(place / "mine"))
    assert "prefer: taken from this run" in err
    assert (place / "mine" / "final" / "manifest.json").read_bytes() == before
    assert not (place / "runs").exists()


def test_into_begins_again_where_a_run_ended_before_it_could_go_on(polo: Main, place: Path) -> None:
    (place / "mine" / "stages").mkdir(parents=True)
    for name in ("recipe.yaml", "provenance.json", ".tmp-1234-resolved.yaml"):
        (place / "mine" / name).write_text("{}")
    assert polo("run", "toy.yaml", "--into", "mine")[0] == 0
    assert (place / "mine" / "results.json").is_file()


def test_into_takes_no_folder_of_something_else(polo: Main, place: Path) -> None:
    (place / "mine").mkdir()
    (place / "mine" / "thesis.tex").write_text("")
    code, _, err = polo("run", "toy.yaml", "--into", "mine")
    assert code == 2
    assert "which holds other files (thesis.tex)" in err
    code, _, err = polo("run", "toy.yaml", "--into", "mine", "--continue")
    assert code == 2
    assert "--into: a run goes on in one folder" in err


def test_a_run_is_kept_elsewhere_and_goes_on_from_there(
    polo: Main, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All that this machine had is gone; the run goes on from the checkpoint that was copied."""
    url = f"file://{place}/store"
    monkeypatch.setenv("POLO_CACHE", str(place / "one"))
    code, out, _ = polo("run", "toy.yaml", f"out={url}")
    first = Path(out.splitlines()[-1])
    (kept,) = (place / "store").iterdir()
    files = {str(path.relative_to(kept)): path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    assert (code, first.name) == (0, kept.name)
    assert {name: (first / name).read_bytes() for name in files} == files
    assert {"results.json", "resolved.yaml", "final/manifest.json", "checkpoints/prefer-2/manifest.json"} <= set(files)
    assert not (place / "runs").exists()
    for gone in ("final", "stages", "results.json"):
        shutil.rmtree(kept / gone) if (kept / gone).is_dir() else (kept / gone).unlink()
    monkeypatch.setenv("POLO_CACHE", str(place / "two"))
    code, out, err = polo("run", "toy.yaml", f"out={url}", "--resume", f"{url}/{kept.name}")
    assert code == 0
    assert "prefer: going on from step 2 of 4" in err
    assert Path(out.splitlines()[-1]).is_relative_to(place / "two")
    name = next(
        name for name in files if name.startswith("final/") and name.endswith(".safetensors")
    )  # fmt: skip
    assert (kept / name).read_bytes() == files[name]


def test_a_url_where_no_run_is_kept(polo: Main, place: Path) -> None:
    code, _, err = polo("run", "toy.yaml", "--resume", f"file://{place}/store/toy-1")
    assert code == 2
    assert "no run is kept here" in err


def test_a_store_that_nobody_knows_is_told_before_anything_is_written(
    polo: Main, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POLO_CACHE", str(place / "cache"))
    code, _, err = polo("run", "toy.yaml", "out=nowhere://bucket/runs")
    assert code == 2
    assert "error: nowhere://bucket/runs: no store of this kind" in err
    assert not (place / "cache" / "mirrored").exists()
