"""What answering together is worth: questions to ``polo serve`` one at a time, and many at once; the answers are equal.

    python benchmarks/serve.py RUN --questions 200 --at-once 1 4 16 --out serve.json

Starts the real service on a free port of this machine, asks histories of the run's own examples of test rows, and
prints for each width how long an answer took (p50, p95) and how many came in a second. The client is a program of its
own on the same cores. Rankings are compared with those that were asked one at a time: titles, and figures to 1e-4.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any


def asked(run: Path, count: int, top: int) -> list[bytes]:
    """``count`` different questions: beginnings of the histories of the run's examples, of all lengths."""
    examples = json.loads((run / "eval" / "examples.json").read_text("utf-8"))
    found = [
        json.dumps({"history": one["history"][start:], "top": top}).encode()
        for start in range(max(len(one["history"]) for one in examples))
        for one in examples
        if one["history"][start:]
    ]
    return [found[number % len(found)] for number in range(count)]


def answered(place: tuple[str, int], questions: list[bytes], at_once: int) -> tuple[float, list[float], list[Any]]:
    """Seconds of all, seconds of each, and the answers in their order; each client keeps its connection."""

    def client(mine: list[int]) -> list[tuple[int, float, Any]]:
        connection = http.client.HTTPConnection(*place, timeout=600)
        told = []
        for number in mine:
            began = time.perf_counter()
            connection.request("POST", "/recommend", questions[number])
            response = connection.getresponse()
            body = json.loads(response.read())
            if response.status != 200:
                raise SystemExit(f"status {response.status}: {body}")
            told.append((number, time.perf_counter() - began, body["ranked"]))
        connection.close()
        return told

    began = time.perf_counter()
    with ThreadPoolExecutor(at_once) as threads:
        parts = list(threads.map(client, [list(range(start, len(questions), at_once)) for start in range(at_once)]))
    whole = time.perf_counter() - began
    told = sorted((one for part in parts for one in part), key=lambda one: one[0])
    return whole, [seconds for _, seconds, _ in told], [ranked for _, _, ranked in told]


def equal(one: list[Any], other: list[Any]) -> bool:
    """The same titles in the same places, with figures that differ by rounding alone."""
    return [place["title"] for place in one] == [place["title"] for place in other] and all(
        math.isclose(mine[name], theirs[name], rel_tol=1e-4)
        for mine, theirs in zip(one, other, strict=True)
        for name in ("score", "probability")
        if name in mine
    )


def percentile(values: list[float], share: float) -> float:
    """The smallest value that this share of all does not exceed."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--questions", type=int, default=200)
    parser.add_argument("--at-once", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--top", type=int, default=10)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    questions = asked(words.run, words.questions, words.top)
    program = [sys.executable, "-m", "polo", "serve", str(words.run), "--port", "0", "--seconds", "600"]
    with subprocess.Popen(program, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            host, _, port = process.stdout.readline().strip().removeprefix("http://").rpartition(":")
            place = (host, int(port))
            answered(place, questions[:10], 1)  # what is made at the first question is no part of it
            _, _, alone = answered(place, questions, 1)
            lines = []
            for width in words.at_once:
                whole, each, told = answered(place, questions, width)
                lines.append({
                    "at_once": width, "questions": len(questions), "p50_ms": 1e3 * percentile(each, 0.5),
                    "p95_ms": 1e3 * percentile(each, 0.95), "a_second": len(questions) / whole,
                    "unlike": sum(not equal(one, other) for one, other in zip(alone, told, strict=True)),
                })  # fmt: skip
        finally:
            process.terminate()
    for line in lines:
        print(f"{line['at_once']:>3} at once: p50 {line['p50_ms']:.1f} ms, p95 {line['p95_ms']:.1f} ms, "
              f"{line['a_second']:.1f} a second ({line['a_second'] / lines[0]['a_second']:.2f}x), "
              f"{line['unlike']} of {line['questions']} answers unlike")  # fmt: skip
    if words.out is not None:
        words.out.write_text(json.dumps(lines, indent=2) + "\n", "utf-8")
    if any(line["unlike"] for line in lines):
        raise SystemExit(1)


if __name__ == "__main__":
    main()
