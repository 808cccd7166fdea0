"""A real server on this machine: the answers of ``polo recommend``, limits, figures, and how it stops."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from polo.run.recommending import Recommender
from polo.serve.questions import Limits
from tests.serve.world import client, service


def same(one: dict[str, Any], other: dict[str, Any]) -> None:
    """Equal but for the rounding of sums."""
    assert {k: v for k, v in one.items() if k != "ranked"} == {k: v for k, v in other.items() if k != "ranked"}
    for mine, theirs in zip(one["ranked"], other["ranked"], strict=True):
        figure = "score" if "score" in mine else "probability"
        assert mine.pop(figure) == pytest.approx(theirs.pop(figure), rel=1e-4)
        assert mine == theirs


def histories(of: Recommender, n: int) -> list[list[str]]:
    titles = list(of.splits.items.titles)
    return [titles[start : start + 1 + start % 5] for start in range(n)]


def test_it_answers_as_the_command_line_does(
    served: Path, trained: Recommender, polo: Callable[..., tuple[int, str, str]], tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("POLO_CACHE", str(served.parents[1] / "cache"))
    first, second = histories(trained, 2)
    misspelt = second[0].lower()[:-1] + "  "
    listed = list(trained.splits.items.titles[40:46])
    (tmp_path / "listed.txt").write_text("\n".join(listed))
    with service(trained) as ask:
        for history, words, more in (
            (first, ("--top", "4"), {"top": 4}),
            ([misspelt], (), {}),
            (first, ("--candidates", str(tmp_path / "listed.txt")), {"candidates": listed}),
        ):
            code, out, err = polo("recommend", served, "--history", "; ".join(history), "--json", *words)
            assert code == 0, err
            status, told = ask.ask(history=history, **more)
            assert status == 200, told
            took = told.pop("took")
            same(told, json.loads(out))
            assert all(place["proven"] for place in told["ranked"])
            assert (took == []) == (history is first)
        assert took == []


def test_questions_at_once_are_answered_together_and_as_if_alone(trained: Recommender) -> None:
    asked = [{"history": history, "top": 3 + i % 2} for i, history in enumerate(histories(trained, 24))]
    with service(trained) as ask:
        alone = [ask.ask(**one) for one in asked]
        with ThreadPoolExecutor(24) as threads:
            at_once = list(threads.map(lambda one: ask.ask(**one), asked))
        for (status, mine), (other, theirs) in zip(alone, at_once, strict=True):
            assert (status, other) == (200, 200)
            same(mine, theirs)
        _, text = ask("GET", "/metrics")
    batches = int(re.search(r"^polo_batch_questions_count (\d+)$", text, re.M)[1])
    total = float(re.search(r"^polo_batch_questions_sum (\S+)$", text, re.M)[1])
    assert total == 48
    assert batches < 48, "some were answered together"


def test_what_is_refused_is_json_with_a_status_and_the_service_goes_on(trained: Recommender) -> None:
    history = histories(trained, 1)[0]
    with service(trained, Limits(body=300, top=5, guesses=1)) as ask:
        for method, path, body, status, said in (
            ("POST", "/recommend", b"{", 400, "is no JSON"),
            ("POST", "/recommend", {"history": history, "top": 6}, 422, "more than 5"),
            ("POST", "/recommend", {"history": ["qqqq wwww"]}, 422, "no title is 'qqqq wwww'"),
            ("POST", "/recommend", {"history": [title + "!" for title in histories(trained, 5)[4][:3]]}, 422,
             "more than 1 texts are no titles"),
            ("POST", "/recommend", b" " * 301, 413, "more than 300 bytes"),
            ("GET", "/recommend", None, 405, "method not allowed"),
            ("GET", "/nothing", None, 404, "not found"),
        ):  # fmt: skip
            found, told = ask(method, path, body)
            assert (found, said in told["error"]["what"]) == (status, True), told
        assert ask.ask(history=history)[0] == 200
        assert ask("GET", "/health") == (200, {"status": "ok", "run": "served"})
        status, text = ask("GET", "/metrics")
    assert status == 200
    counted = dict(re.findall(r'^polo_requests_total\{path="(\S+)",status="(?:\d+)"\} (\d+)$', text, re.M))
    assert set(counted) == {"/recommend", "/health", "other"}
    assert 'polo_requests_total{path="/recommend",status="422"} 3' in text
    assert 'polo_requests_total{path="/recommend",status="200"} 1' in text
    line = re.compile(r'# (HELP|TYPE) polo_\w+ .+|polo_\w+(\{(\w+="[^"]*",?)+\})? \d+(\.\d+)?(e-?\d+)?')
    assert [one for one in text.splitlines() if not line.fullmatch(one)] == [], "as Prometheus reads it"


def test_who_waits_too_long_or_in_vain_is_told(trained: Recommender, monkeypatch) -> None:
    history = histories(trained, 1)[0]
    gate, under_way = threading.Event(), threading.Event()
    real = trained.rank_together

    def slow(asked: Sequence[Any], top: int) -> Any:
        under_way.set()
        gate.wait(60)
        return real(asked, top)

    monkeypatch.setattr(trained, "rank_together", slow)
    with service(trained, Limits(seconds=1.0, waiting=1, together=1)) as ask, ThreadPoolExecutor(2) as threads:
        first = threads.submit(ask.ask, history=history)
        assert under_way.wait(60)
        second = threads.submit(ask.ask, history=history)
        while "polo_waiting_questions 1" not in ask("GET", "/metrics")[1]:
            pass
        status, told = ask.ask(history=history)
        assert (status, told["error"]["what"]) == (503, "1 questions wait already")
        assert ask("GET", "/health")[0] == 200, "also while the model works"
        for late in (first, second):
            status, told = late.result()
            assert (status, told["error"]["what"]) == (504, "no answer within 1 seconds")
        gate.set()
        assert ask.ask(history=history)[0] == 200
        with socket.create_connection((ask.host, ask.port)) as connection:
            connection.sendall(b"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n{")
            assert connection.recv(1000).startswith(b"HTTP/1.1 408 ")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_when_what_is_under_way_is_answered(number: signal.Signals, vectors: Path) -> None:
    environment = {**os.environ, "POLO_CACHE": str(vectors.parents[1] / "cache")}
    title = json.loads((vectors / "eval" / "examples.json").read_text())[0]["history"][-1]
    program = [sys.executable, "-m", "polo", "serve", str(vectors), "--port", "0"]
    with subprocess.Popen(
        program, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        url = process.stdout.readline().strip()
        ask = client(url)
        assert ask.ask(history=[title])[0] == 200
        status, told = ask("GET", "/health")
        assert (status, told["run"], told["policy"], told["items"]) == (200, vectors.name, "gru4rec", 120)
        body = json.dumps({"history": [title]}).encode()
        with socket.create_connection((ask.host, ask.port)) as connection:
            head = f"POST /recommend HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            connection.sendall(head + body[:5])
            assert ask("GET", "/health")[0] == 200, "it has read what was sent before"
            process.send_signal(number)
            while True:  # until it takes no new connection
                try:
                    socket.create_connection((ask.host, ask.port)).close()
                except ConnectionRefusedError:
                    break
            connection.sendall(body[5:])
            assert connection.recv(20).startswith(b"HTTP/1.1 200 ")
        assert process.wait(60) == 0
        assert process.stderr is not None
        assert "Traceback" not in process.stderr.read()


def test_answers_do_not_wait_for_acknowledgements(trained: Recommender) -> None:
    """asyncio sets TCP_NODELAY on a connection only where its socket names the protocol, as the listening one does."""
    seen: list[int] = []

    def change(app: Any) -> Any:
        async def looking(scope: Any, receive: Any, send: Any) -> None:
            if scope["type"] == "http":
                transport = send.__self__.transport
                seen.append(transport.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            await app(scope, receive, send)

        return looking

    with service(trained, change=change) as ask:
        assert ask("GET", "/health")[0] == 200
    assert len(seen) == 1
    assert seen[0] != 0


def test_a_port_that_is_taken_and_a_library_that_is_missing_are_told(
    served: Path, polo: Callable[..., tuple[int, str, str]], monkeypatch
) -> None:
    monkeypatch.setenv("POLO_CACHE", str(served.parents[1] / "cache"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        code, _, err = polo("serve", served, "--port", taken.getsockname()[1])
    assert (code, "cannot listen" in err) == (2, True), err
    monkeypatch.setattr("polo.cli.serve.find_spec", lambda name: None)
    code, _, err = polo("serve", served)
    assert (code, "pip install 'polo-rec[serve]'" in err) == (2, True), err
