"""Several processes of one run: all go on or all end, with one exit code and the message of whoever failed first."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from polo.errors import PoloError
from polo.run import processes as module
from polo.run.processes import launch, peer_lost
from tests.run.faults.places import furnish, run_folder

#: a head that ends the process of rank $DYING at its third call
DYING = """
import os
import signal

from polo import Component, hookimpl


class Dying:
    needs = frozenset({"negatives"})

    def __init__(self, options, context):
        self._calls = 0

    def __call__(self, scores, keep, beta):
        self._calls += 1
        if self._calls == 3 and os.environ["LOCAL_RANK"] == os.environ["DYING"]:
            os.kill(os.getpid(), signal.SIGKILL)
        return ((scores.rejected - scores.chosen[:, None]) * keep).sum(dim=1)


@hookimpl
def polo_loss_heads():
    return [Component(name="dying", build=":Dying", options=None, summary="ends a process", source="none")]
"""


def program(text: str) -> list[str]:
    return [sys.executable, "-c", f"import os, signal, sys\nrank = int(os.environ['RANK'])\n{text}"]


def test_all_well_is_0_and_every_process_knows_its_place(tmp_path: Path) -> None:
    words = program(
        f"open(r'{tmp_path}/' + str(rank), 'w').write(os.environ['WORLD_SIZE'] + os.environ['MASTER_PORT'])"
    )
    assert launch(words, 3) == 0
    assert sorted(path.name for path in tmp_path.iterdir()) == ["0", "1", "2"]
    assert len({path.read_text() for path in tmp_path.iterdir()}) == 1


def test_the_message_of_the_process_that_fails_is_shown_with_its_code(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(program("if rank == 1: sys.stderr.write('row 7 is bad\\n'); sys.exit(3)"), 2) == 3
    assert "row 7 is bad" in capfd.readouterr().err


def test_a_message_that_all_have_is_shown_once(capfd: pytest.CaptureFixture[str]) -> None:
    assert launch(program("sys.stderr.write('no such file\\n'); sys.exit(2)"), 3) == 2
    assert capfd.readouterr().err.count("no such file") == 1


@pytest.mark.parametrize("rank", [0, 1])
def test_a_process_that_is_killed_ends_the_others_and_is_named(monkeypatch: pytest.MonkeyPatch, rank: int) -> None:
    """The others would wait for ever, and do not even listen to SIGTERM."""
    monkeypatch.setattr(module, "GRACE", 0.2)
    waiting = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nwhile True: signal.pause()"
    words = program(f"if rank == {rank}: os.kill(os.getpid(), signal.SIGKILL)\n{waiting}")
    with pytest.raises(PoloError, match=f"process {rank + 1} of 2 was ended by SIGKILL") as caught:
        launch(words, 2)
    assert caught.value.exit_code == 1


def test_handlers_of_signals_are_as_they_were() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    launch(program(""), 2)
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == before


def test_only_errors_about_a_lost_process_are_told_as_that() -> None:
    assert isinstance(peer_lost(RuntimeError("[gloo/pair.cc:534] Connection closed by peer [::1]:5")), PoloError)
    own = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert peer_lost(own) is own


@pytest.mark.slow
@pytest.mark.parametrize("dying", ["0", "1"])
def test_a_worker_that_dies_ends_a_real_run_with_a_message_and_it_can_go_on(
    base: Path, tmp_path: Path, dying: str
) -> None:
    place = furnish(tmp_path / "place", base)
    (place / "dying.py").write_text(DYING)
    words = [sys.executable, "-m", "polo", "run", "toy.yaml", "--plugin", "dying.py", "stages.prefer.loss=dying"]
    environment = {**os.environ, "POLO_CACHE": str(place / "cache"), "OMP_NUM_THREADS": "1", "DYING": dying}
    done = subprocess.run(
        [*words, "--processes", "2"], cwd=place, env=environment, capture_output=True, text=True, check=False,
        timeout=600,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert f"process {int(dying) + 1} of 2 was ended by SIGKILL, so all were stopped" in done.stderr
    assert "Traceback" not in done.stderr
    folder = run_folder(place)
    assert not (folder / "results.json").exists()
    again = subprocess.run(
        [*words, "--continue", "--processes", "2"], cwd=place, env={**environment, "DYING": "none"},
        capture_output=True, text=True, check=False, timeout=600,
    )  # fmt: skip
    assert again.returncode == 0, again.stderr
    assert (folder / "results.json").is_file()


@pytest.mark.slow
def test_bad_input_is_told_once_however_many_processes(tmp_path: Path, base: Path) -> None:
    place = furnish(tmp_path / "place", base)
    words = [sys.executable, "-m", "polo", "run", "toy.yaml", "--processes", "2"]
    for change in ("stages.sft.lr=fast", "candidates.n=200"):
        done = subprocess.run(
            [*words, change], cwd=place, env={**os.environ, "POLO_CACHE": str(place / "cache")}, capture_output=True,
            text=True, check=False, timeout=600,
        )  # fmt: skip
        assert done.returncode == 2, done.stderr
        assert done.stderr.count("error:") == 1, done.stderr
        assert "Traceback" not in done.stderr
    assert not (place / "runs").exists()
