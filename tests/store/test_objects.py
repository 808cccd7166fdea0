"""A run on a store of objects that speaks S3 (moto's server on this machine): killed, and gone on with elsewhere."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from tests.run.toy import OVER_IDS, command, folder_of, killed

pytestmark = pytest.mark.objects

#: long enough to be killed amid it
RECIPE = OVER_IDS.replace("steps: 4", "steps: 40").replace("checkpoint: 2", "checkpoint: 2, validate: {every: 10}")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """A server with a bucket `polo`; the environment in which it is found."""
    pytest.importorskip("moto", reason="needs a store of objects: session objects")
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port = found.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    keys = {"AWS_ACCESS_KEY_ID": "polo", "AWS_SECRET_ACCESS_KEY": "polo", "AWS_DEFAULT_REGION": "us-east-1"}
    environment = {**keys, "AWS_ENDPOINT_URL": url, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]
    with subprocess.Popen(words, env={**os.environ, **keys}, stderr=subprocess.PIPE, text=True) as server:
        assert server.stderr is not None
        for line in server.stderr:
            if "Running on" in line:
                break
        # it says a line for each request, and waits where nobody reads them
        threading.Thread(target=server.stderr.read, daemon=True).start()
        try:
            client(environment).mkdir("polo")
            yield environment
        finally:
            server.kill()


def client(environment: dict[str, str]) -> Any:
    import s3fs

    return s3fs.S3FileSystem(
        key="polo", secret="polo", endpoint_url=environment["AWS_ENDPOINT_URL"], use_listings_cache=False,
        skip_instance_cache=True,
    )  # fmt: skip


def weights(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = load_file(next((folder / "final").glob("*.safetensors")))
    return found


def test_a_run_that_is_killed_goes_on_from_the_store_on_another_machine(tmp_path: Path, store: dict[str, str]) -> None:
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(RECIPE)
    whole = folder_of(command("run", str(recipe), f"out={tmp_path}", POLO_CACHE=str(tmp_path / "other"), **store))
    words = ("run", str(recipe), "out=s3://polo/runs", "--into", "s3://polo/runs/mine")
    killed("prefer step 20", *words, POLO_CACHE=str(tmp_path / "one"), **store)
    shutil.rmtree(tmp_path / "one")
    kept = {name.removeprefix("polo/runs/mine/") for name in client(store).find("polo/runs/mine")}
    assert "resolved.yaml" in kept
    assert "results.json" not in kept
    assert any(name.startswith("checkpoints/prefer-") for name in kept)
    done = command(*words, POLO_CACHE=str(tmp_path / "two"), **store)
    assert "prefer: going on from step" in done.stderr
    a, b = weights(whole), weights(folder_of(done))
    assert set(a) == set(b)
    assert all(torch.equal(a[name], b[name]) for name in a)
    copy = tmp_path / "copy"
    client(store).get("polo/runs/mine/final/", str(copy / "final"), recursive=True)
    assert all(torch.equal(a[name], value) for name, value in weights(copy).items())
    assert client(store).exists("polo/runs/mine/results.json")


def test_a_bucket_that_is_not_there_is_told_in_a_line(tmp_path: Path, store: dict[str, str]) -> None:
    recipe = tmp_path / "toy.yaml"
    recipe.write_text(RECIPE)
    done = command(
        "run", str(recipe), "--resume", "s3://nobody/runs/mine", code=2, POLO_CACHE=str(tmp_path / "one"), **store
    )
    assert "error: s3://nobody/runs/mine" in done.stderr
    assert "Traceback" not in done.stderr
