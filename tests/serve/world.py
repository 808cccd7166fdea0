"""Small runs that can be served, a real server in a thread of the test, and a client of few words."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import uvicorn

from polo import load
from polo.run.recommending import Recommender
from polo.serve.app import application
from polo.serve.questions import Limits
from polo.serve.server import address, bound
from tests.run.toy import command, folder_of

COMMON = """\
polo: 1
name: served
data: {use: demo, items: 120, users: 60, shortest: 8, longest: 12}
candidates: {n: 10}
reference: none
stages:
  first: {loss: sft, steps: 2, lr: 1e-2, batch: 16}
evaluate: {evaluators: [mrr], baselines: [], rows: 20}
policy: POLICY
"""
POLICIES = {
    "text": "{use: causal_lm, base: {use: tiny_lm, hidden: 32, layers: 1, heads: 2, vocab: 400, epochs: 1}, "
    "lora: {r: 4, dropout: 0.0}}",
    "vectors": "{use: gru4rec, dim: 8}",
}


def made(place: Path, kind: str) -> Path:
    """The folder of a finished run."""
    text = COMMON.replace("POLICY", POLICIES[kind])
    if kind == "vectors":
        text = text.replace("{loss: sft,", "{loss: bpr, sampler: {use: uniform, k: 4},")
    (place / "served.yaml").write_text(text)
    return folder_of(
        command("run", str(place / "served.yaml"), f"out={place / 'runs'}", POLO_CACHE=str(place / "cache"))
    )


def recommender(folder: Path) -> Recommender:
    """Of a run, with its policy loaded."""
    result = load(folder, quiet=True)
    assert result.policy
    return result._recommender


@dataclass
class Client:
    """Asks a server."""

    host: str
    port: int

    def __call__(self, method: str, path: str, body: Any = None) -> tuple[int, Any]:
        """Status, and the body as JSON or text."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=60)
        try:
            raw = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, raw)
            response = connection.getresponse()
            text = response.read().decode()
            kind = response.headers["content-type"]
            return response.status, json.loads(text) if kind == "application/json" else text
        finally:
            connection.close()

    def ask(self, **question: Any) -> tuple[int, Any]:
        return self("POST", "/recommend", question)


def client(url: str) -> Client:
    host, _, port = url.removeprefix("http://").rpartition(":")
    return Client(host, int(port))


@contextmanager
def service(
    of: Recommender, limits: Limits | None = None, change: Callable[[Any], Any] = lambda app: app
) -> Iterator[Client]:
    """A server in a thread while the block runs."""
    app = change(application(of, limits or Limits(), {"run": "served"}))
    listening = bound("127.0.0.1", 0)
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", lifespan="on", access_log=False))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield client(address(listening))
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
