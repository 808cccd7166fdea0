"""torch's elastic agent: what it does for a run as torchrun, and why it does not start our own processes.

Real torchrun, processes and nodes of this machine; a worker that is killed and a run that ends as if none had been.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polo.run.processes import launch
from tests.run.toy import OVER_IDS

#: six steps with a head that ends its process
RECIPE = OVER_IDS.replace("loss: bpr, steps: 4", "loss: dying, steps: 6")

#: a head that ends the process of rank $DYING in the 5th step, the first time that the processes are started
DYING = """
import os
import signal

from polo import Component, hookimpl


class Dying:
    needs = frozenset({"negatives"})

    def __init__(self, options, context):
        self._calls = 0

    def __call__(self, scores, keep, beta):
        self._calls += scores.policy.requires_grad
        doomed = os.environ.get("RANK") == os.environ.get("DYING")
        if doomed and self._calls == 10 and os.environ["TORCHELASTIC_RESTART_COUNT"] == "0":
            os.kill(os.getpid(), signal.SIGKILL)
        return ((scores.rejected - scores.chosen[:, None]).sigmoid() * keep).sum(dim=1)


@hookimpl
def polo_loss_heads():
    return [Component(name="dying", build=":Dying", options=None, summary="ends a process", source="none")]
"""

#: the other process ends with code 3; this one would say why, a second later
SAYS_WHY = """
import os, signal, sys
if os.environ["RANK"] == "1":
    sys.exit(3)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTERM])
stopped = signal.sigtimedwait([signal.SIGTERM], 1)
open(sys.argv[1], "w").write("stopped" if stopped else "row 7 is bad")
sys.exit(3)
"""

#: the same under torch's agent, with no restarts
AGENT = """
import sys
from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

config = LaunchConfig(min_nodes=1, max_nodes=1, nproc_per_node=2, rdzv_backend="c10d", rdzv_endpoint="localhost:0",
                      run_id="x", max_restarts=0, local_addr="127.0.0.1")
try:
    elastic_launch(config, sys.executable)(*sys.argv[1:])
except ChildFailedError as error:
    sys.exit(error.get_first_failure()[1].exitcode)
"""


def test_torch_s_agent_stops_a_process_that_would_say_why_and_ours_lets_it(tmp_path: Path) -> None:
    """All processes find the same mistake, not at the same moment; only the first one is seen by the user."""
    said = tmp_path / "said"
    words = ["-c", SAYS_WHY, str(said)]
    done = subprocess.run([sys.executable, "-c", AGENT, *words], capture_output=True, text=True, check=False)
    assert (done.returncode, said.read_text()) == (3, "stopped"), done.stderr
    assert launch([sys.executable, *words], 2) == 3
    assert said.read_text() == "row 7 is bad"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("elastic")
    (place / "toy.yaml").write_text(RECIPE)
    (place / "dying.py").write_text(DYING)
    return place


def torchrun(place: Path, into: str, *words: str, dying: str = "none") -> subprocess.Popen[str]:
    """A run under torchrun; each has a cache of its own, so that no stage is taken from another."""
    run = ["-m", "polo", "run", "toy.yaml", "--plugin", "dying.py", "--into", into]
    environment = {**os.environ, "POLO_CACHE": str(place / f"cache-{into}"), "OMP_NUM_THREADS": "1", "DYING": dying}
    # else processes that begin again meet at the store of those before them, and now and then at their addresses
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    return subprocess.Popen(
        [sys.executable, "-m", "torch.distributed.run", *words, *run], cwd=place, env=environment, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def ended(process: subprocess.Popen[str]) -> tuple[str, str]:
    """What it said on stdout and stderr."""
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, out + err
    return out, err


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> Path:
    ended(torchrun(place, "undisturbed", "--standalone", "--nproc-per-node", "2"))
    return place / "undisturbed"


def assert_bit_equal(one: Path, other: Path) -> None:
    a, b = (load_file(next((folder / "final").glob("*.safetensors"))) for folder in (one, other))
    assert set(a) == set(b)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert (other / "results.json").is_file()


@pytest.mark.slow
@pytest.mark.parametrize("dying", ["0", "1"])
def test_a_worker_of_torchrun_that_is_killed_changes_no_bit(place: Path, undisturbed: Path, dying: str) -> None:
    into = f"killed-{dying}"
    words = ("--standalone", "--nproc-per-node", "2", "--max-restarts", "1")
    _, said = ended(torchrun(place, into, *words, dying=dying))
    assert "prefer: going on from step 4 of 6" in said
    assert_bit_equal(undisturbed, place / into)


@pytest.mark.slow
def test_two_nodes_that_meet_end_as_one_with_two_processes(place: Path, undisturbed: Path) -> None:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    words = ("--nnodes", "2", "--nproc-per-node", "1", "--rdzv-backend", "c10d", "--rdzv-id", "toy",
             "--rdzv-endpoint", f"127.0.0.1:{port}", "--local-addr", "127.0.0.1")  # fmt: skip
    nodes = [torchrun(place, "nodes", *words) for _ in range(2)]
    said = sorted(ended(node)[0] for node in nodes)
    assert said[0] == "", "the first process alone speaks"
    assert said[1].splitlines()[-1] == str(place / "nodes")
    assert_bit_equal(undisturbed, place / "nodes")
