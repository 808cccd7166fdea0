"""A model hub on this machine, as far as pushing a folder goes: HTTP in, files in a dictionary. Knows no polo.

It checks what it is sent: tokens, hashes of large files, and that a commit names only what was uploaded.
"""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

TOKEN = "hf_fake"


class Hub:
    """What the hub holds: ``repositories[id][path]`` is a file's bytes, ``commits`` are their messages."""

    def __init__(self) -> None:
        self.repositories: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.commits: list[str] = []
        self.large: dict[str, bytes] = {}
        self.address = ""

    def post(self, path: str, body: bytes) -> tuple[int, Any]:
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            told = {"url": f"{self.address}/{name}"}
            if name in self.repositories:
                return 409, told | {"error": "You already created this model repo"}
            self.repositories[name] = {".gitattributes": b"*.safetensors filter=lfs\n"}
            self.private[name] = asked.get("visibility") == "private"
            return 200, told
        if path == "/api/validate-yaml":
            head = json.loads(body)["content"].split("---")[1]
            known = isinstance(yaml.safe_load(head), dict)
            return (200, {"errors": [], "warnings": []}) if known else (400, {"errors": [{"message": "no head"}]})
        if path.endswith("/info/lfs/objects/batch"):
            return 200, {"objects": [
                {**one, "actions": {"upload": {"href": f"{self.address}/large/{one['oid']}"}}}
                for one in json.loads(body)["objects"]
            ]}  # fmt: skip
        kind, _, rest = path.removeprefix("/api/").partition("/")
        organisation, name, what, *_ = rest.split("/")
        if kind != "models" or f"{organisation}/{name}" not in self.repositories:
            return 404, {"error": "Repository not found"}
        if what == "preupload":
            return 200, {"files": [
                {"path": one["path"], "shouldIgnore": False,
                 "uploadMode": "lfs" if one["path"].endswith(".safetensors") else "regular"}
                for one in json.loads(body)["files"]
            ]}  # fmt: skip
        return self.commit(f"{organisation}/{name}", [json.loads(line) for line in body.splitlines()])

    def commit(self, repository: str, lines: list[Any]) -> tuple[int, Any]:
        files = dict(self.repositories[repository])
        for line in lines:
            value = line["value"]
            if line["key"] == "header":
                message = value["summary"]
            elif line["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif line["key"] == "lfsFile":
                if value["oid"] not in self.large:
                    return 400, {"error": f"{value['path']} was not uploaded"}
                files[value["path"]] = self.large[value["oid"]]
            elif line["key"] == "deletedFile":
                del files[value["path"]]
            else:
                return 400, {"error": f"what is {line['key']}?"}
        self.repositories[repository] = files
        self.commits.append(message)
        oid = hashlib.sha1(json.dumps(lines).encode(), usedforsecurity=False).hexdigest()
        return 200, {"commitUrl": f"{self.address}/{repository}/commit/{oid}", "commitOid": oid}

    def get(self, path: str) -> tuple[int, Any]:
        organisation, name, *what = path.removeprefix("/api/models/").split("/")
        files = self.repositories.get(f"{organisation}/{name}")
        if files is None or what[:1] != ["tree"]:
            return 404, {"error": "Not found"}
        told = [
            (path, hashlib.sha1(data, usedforsecurity=False).hexdigest(), len(data)) for path, data in files.items()
        ]
        return 200, [{"type": "file", "path": path, "oid": oid, "size": size} for path, oid, size in told]


@contextmanager
def connected(patch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that listens while the block runs, and which the client of this process takes for the real one."""
    from huggingface_hub import constants
    from huggingface_hub.utils import close_session

    with hub() as held:
        patch.setattr(constants, "ENDPOINT", held.address)
        patch.setattr(constants, "HF_HUB_DISABLE_XET", True)  # large files by Git LFS, which this hub speaks
        patch.setenv("HF_TOKEN", TOKEN)
        close_session()
        yield held
        close_session()


@contextmanager
def hub() -> Iterator[Hub]:
    """A hub that listens while the block runs."""
    held = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *words: Any) -> None:
            """Says nothing."""

        def _body(self) -> bytes:
            return self.rfile.read(int(self.headers.get("Content-Length", 0)))

        def _answer(self, status: int, value: Any) -> None:
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def _known(self) -> bool:
            return self.headers.get("Authorization") == f"Bearer {TOKEN}"

        def do_GET(self) -> None:
            if self._known():
                self._answer(*held.get(urlsplit(self.path).path))
            else:
                self._answer(401, {"error": "Invalid username or password."})

        def do_POST(self) -> None:
            body = self._body()
            if self._known():
                self._answer(*held.post(urlsplit(self.path).path, body))
            else:
                self._answer(401, {"error": "Invalid username or password."})

        def do_PUT(self) -> None:
            body, oid = self._body(), self.path.rpartition("/")[2]
            sound = hashlib.sha256(body).hexdigest() == oid
            if sound:
                held.large[oid] = body
            self._answer(200 if sound else 400, {})

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    held.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield held
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
