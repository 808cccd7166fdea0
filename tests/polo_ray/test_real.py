"""The launcher ``ray`` with the real Ray on CPUs: a worker is killed, and the run ends as if none were."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from polo.testing import parametrize_with_checks
from tests.run.toy import OVER_IDS

Cluster = pytest.importorskip("ray.cluster_utils", reason="needs Ray: session ray").Cluster

pytestmark = pytest.mark.ray

#: six steps with a head that ends its process
RECIPE = OVER_IDS.replace("loss: bpr, steps: 4", "loss: dying, steps: 6")

#: a head in which, once, in the 5th step, the process of rank 1 or the worker that runs it dies, or waits for ever; or
#: both processes say that they wait for Ctrl-C, and do
DYING = """
import os
import pathlib
import signal
import sys

from polo import Component, hookimpl


class Dying:
    needs = frozenset({"negatives"})

    def __init__(self, options, context):
        self._calls = 0

    def __call__(self, scores, keep, beta):
        self._calls += scores.policy.requires_grad
        marker = pathlib.Path(os.environ["POLO_TEST_MARKER"] + os.environ.get("RANK", ""))
        if self._calls == 10 and os.environ["POLO_TEST_DYING"] == "asks" and not marker.exists():
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            marker.touch()
            print("waiting for Ctrl-C", file=sys.stderr, flush=True)
            signal.sigwait({signal.SIGINT})
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
            signal.raise_signal(signal.SIGINT)
        if self._calls == 10 and os.environ.get("RANK") == "1" and not marker.exists():
            marker.touch()
            victim = os.getppid() if os.environ["POLO_TEST_DYING"] == "worker" else os.getpid()
            if os.environ["POLO_TEST_DYING"] in ("process", "worker"):
                os.kill(victim, signal.SIGKILL)
            if os.environ["POLO_TEST_DYING"] != "none":
                signal.pause()
        return ((scores.rejected - scores.chosen[:, None]).sigmoid() * keep).sum(dim=1)


@hookimpl
def polo_loss_heads():
    return [Component(name="dying", build=":Dying", options=None, summary="ends a process", source="none")]
"""


@parametrize_with_checks("launcher", "ray")
def test_contract(check) -> None:
    check()


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("ray")
    (place / "toy.yaml").write_text(RECIPE)
    (place / "dying.py").write_text(DYING)
    return place


def start(place: Path, into: str, *words: str, dying: str = "none", launcher: str = "ray") -> subprocess.Popen[str]:
    """A run on two workers; each has a cache of its own, so that no stage is taken from another."""
    told = {"POLO_CACHE": str(place / f"cache-{into}"), "OMP_NUM_THREADS": "1", "POLO_TEST_DYING": dying,
            "POLO_TEST_MARKER": str(place / f"marker-{into}")}  # fmt: skip
    run = ["run", "toy.yaml", "--plugin", "dying.py", "--into", into, "--processes", "2", "--launcher", launcher]
    return subprocess.Popen(
        [sys.executable, "-m", "polo", *run, *words], cwd=place, env={**os.environ, **told}, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
    )  # fmt: skip


def ended(process: subprocess.Popen[str], code: int = 0) -> tuple[str, str]:
    """What it said on stdout and stderr."""
    out, err = process.communicate(timeout=400)
    assert process.returncode == code, out + err
    return out, err


def assert_same(one: Path, other: Path, off: float = 0.0) -> None:
    a, b = (load_file(next((folder / "final").glob("*.safetensors"))) for folder in (one, other))
    assert set(a) == set(b)
    for name in a:
        torch.testing.assert_close(a[name], b[name], rtol=0, atol=off)
    assert (other / "results.json").is_file()


@pytest.fixture(scope="module")
def undisturbed(place: Path) -> Path:
    out, _ = ended(start(place, "undisturbed"))
    assert out.splitlines()[-1] == str(place / "undisturbed")
    return place / "undisturbed"


def test_workers_of_ray_end_as_processes_of_this_machine(place: Path, undisturbed: Path) -> None:
    ended(start(place, "local", launcher="local"))
    assert_same(place / "local", undisturbed)


@pytest.mark.parametrize("dying", ["process", "worker"])
def test_a_killed_worker_changes_no_bit(place: Path, undisturbed: Path, dying: str) -> None:
    _, said = ended(start(place, dying, dying=dying))
    assert (place / f"marker-{dying}1").exists()
    assert "prefer: going on from step 4 of 6" in said
    assert "Traceback" not in said
    assert_same(undisturbed, place / dying)


def test_ctrl_c_saves_and_ends_all_workers_and_the_same_command_goes_on(place: Path, undisturbed: Path) -> None:
    """Sent to the whole group of processes, as a terminal does."""
    process = start(place, "asks", dying="asks")
    assert process.stderr is not None
    for line in process.stderr:
        if "waiting for Ctrl-C" in line:
            os.killpg(process.pid, signal.SIGINT)
            break
    _, said = ended(process, code=130)
    assert "stopped after step 5 of 6 of stage 'prefer'" in said
    assert "Traceback" not in said
    assert not (place / "asks" / "results.json").exists()
    _, said = ended(start(place, "asks", dying="asks"))
    assert "prefer: going on from step 5 of 6" in said
    assert_same(undisturbed, place / "asks")


def test_a_mistake_is_told_once_and_not_tried_again(place: Path) -> None:
    _, said = ended(start(place, "wrong", "candidates.n=2000"), code=2)
    assert said.count("error:") == 1
    assert "Traceback" not in said
    assert not (place / "wrong").exists()


WHERE = """
import ray
from polo_ray.launcher import beside

class Node:
    def name(self):
        return ray.get_runtime_context().get_node_id()

ray.init()
try:
    actors = [beside(ray, Node) for _ in range(6)]
    assert set(ray.get([actor.name.remote() for actor in actors])) == {Node().name()}
finally:
    ray.shutdown()
"""


def test_what_workers_say_is_kept_on_the_launchers_node(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or it is lost with the node of a worker, and the run with it."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        told = subprocess.run([sys.executable, "-c", WHERE], capture_output=True, text=True, timeout=200, check=False)
        assert told.returncode == 0, told.stderr
    finally:
        cluster.shutdown()


def test_a_run_whose_node_dies_goes_on_with_fewer_workers(
    place: Path, undisturbed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two nodes with a CPU each, of which one is lost; sums are those of one process, in another order."""
    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1})
    try:
        node = cluster.add_node(num_cpus=1)
        monkeypatch.setenv("RAY_ADDRESS", cluster.address)
        process = start(place, "fewer", dying="waits", launcher="{use: ray, least: 1}")
        assert process.stderr is not None
        for line in process.stderr:
            if line.startswith("prefer step 4"):
                cluster.remove_node(node, allow_graceful=False)
                break
        _, said = ended(process)
    finally:
        cluster.shutdown()
    assert "prefer: going on from step 4 of 6" in said
    assert_same(undisturbed, place / "fewer", off=1e-5)
    facts = json.loads((place / "fewer" / "provenance.json").read_text())
    assert (facts["processes"]["count"], facts["continued"][-1]["processes"]["count"]) == (2, 1)
