"""What ``polo run --dry-run`` says about a base on the hub: what would be downloaded, or that it cannot be had."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tests.polo_causal_lm.world import save_base
from tests.run.toy import command

FILES = {"config.json": 600, "tokenizer.json": 9_000, "model.safetensors": 2_470_000_000}
COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """What the hub's client asks before it downloads: the list of files, and the head of each."""

    def do_GET(self) -> None:
        if not self.path.startswith("/api/models/some/model"):
            self.answer(404, {"X-Error-Code": "RepoNotFound"})
            return
        tree = [{"type": "file", "path": name, "size": size, "oid": "abc"} for name, size in FILES.items()]
        model = {"id": "some/model", "sha": COMMIT, "siblings": [{"rfilename": name} for name in FILES]}
        body = json.dumps(tree if "/tree/" in self.path else model).encode()
        self.answer(200, {"Content-Type": "application/json", "Content-Length": str(len(body))})
        self.wfile.write(body)

    def do_HEAD(self) -> None:
        size = FILES[self.path.rsplit("/", 1)[-1]]
        self.answer(200, {"X-Repo-Commit": COMMIT, "ETag": '"abc"', "Content-Length": str(size)})

    def answer(self, code: int, headers: dict[str, str]) -> None:
        self.send_response(code)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, *words: object) -> None: ...


@pytest.fixture
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def said(toy: Path, base: str, home: Path, **environment: str) -> str:
    """What a dry run says of its base, in one line."""
    environment = {"HF_HOME": str(home), "HF_HUB_OFFLINE": "0", **environment}
    done = command("run", str(toy), "--dry-run", f"policy.base={base}", **environment)
    assert "prefer: boundary x dual_margin x dmpo" in done.stderr
    return next((line for line in done.stderr.splitlines() if "base: " in line), "")


def test_a_base_that_would_be_downloaded_is_named_with_its_size(toy: Path, tmp_path: Path, hub: str) -> None:
    line = said(toy, "some/model", tmp_path / "hf", HF_ENDPOINT=hub)
    assert line.startswith("base: some/model is not (or not wholly) in the local cache")
    assert line.endswith(f"3 files, 2.47 GB, would be downloaded from {hub}")
    assert not list(tmp_path.rglob("*.safetensors")), "a dry run downloads nothing"


def test_a_base_that_the_hub_does_not_have_cannot_be_had(toy: Path, tmp_path: Path, hub: str) -> None:
    line = said(toy, "some/other", tmp_path / "hf", HF_ENDPOINT=hub)
    assert line.startswith("warning: base: some/other is not")
    assert f"cannot be had from {hub}" in line


def test_offline_and_without_network_a_base_cannot_be_had(toy: Path, tmp_path: Path) -> None:
    line = said(toy, "some/model", tmp_path / "hf", HF_HUB_OFFLINE="1")
    assert line.startswith("warning: ")
    assert line.endswith("HF_HUB_OFFLINE forbids a download: this run cannot have it")
    nobody = "http://127.0.0.1:9"  # the port for what is thrown away
    assert f"cannot be had from {nobody}" in said(toy, "some/model", tmp_path / "hf", HF_ENDPOINT=nobody)


def test_a_base_in_the_local_cache_costs_nothing_and_a_folder_is_not_looked_up(toy: Path, tmp_path: Path) -> None:
    place = tmp_path / "hf" / "hub" / "models--some--model"
    folder = save_base(tmp_path / "llama")
    (place / "refs").mkdir(parents=True)
    (place / "refs" / "main").write_text(COMMIT)
    shutil.copytree(folder, place / "snapshots" / COMMIT)
    assert said(toy, "some/model", tmp_path / "hf", HF_HUB_OFFLINE="1").endswith("nothing would be downloaded")
    assert said(toy, str(folder), tmp_path / "hf", HF_HUB_OFFLINE="1") == ""
    done = command("run", str(toy), "--dry-run", "policy.base=./nowhere", code=2)
    assert "there is no folder" in done.stderr
