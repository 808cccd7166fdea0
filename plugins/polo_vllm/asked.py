"""An engine that is asked question after question: in this process, or in a child that reads lines and writes lines.

Knows processes and token ids; knows neither the search that asks nor the model.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from polo import FloatArray, PoloError
from polo_vllm.child import LAST_LINES, PATIENCE, WORKER, environment, interpreter
from polo_vllm.model import Ask
from polo_vllm.worker.answer import Question, answers
from polo_vllm.worker.engine import Engine


def asking(engine: Engine) -> Ask:
    """Questions to an engine in this process."""

    def ask(questions: Sequence[Question]) -> list[FloatArray]:
        return [np.array(one, np.float64) for one in answers(engine, questions)]

    return ask


@contextmanager
def child(place: Path, settings: Mapping[str, Any], python: str | None) -> Iterator[Ask]:
    """Questions to an engine in a process of its own, which ends with the block.

    Args:
        place: an existing folder for its settings and its log.
        settings: ``engine`` and ``adapter`` of the engine.
        python: interpreter that has vLLM; ``None``: this one.

    Raises:
        PoloError: it ended before its time; with the last lines of its log.
    """
    (place / "job.json").write_text(json.dumps(dict(settings)), "utf-8")
    words = [interpreter(python), str(WORKER), str(place), "--answer"]
    log = place / "worker.log"
    with log.open("wb") as errors:
        process = subprocess.Popen(  # noqa: S603 (an interpreter that the user named, our own file)
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True,
            env=environment(python),
        )  # fmt: skip
        try:
            pipe = _Pipe(process, log)
            pipe.heard("ready")
            yield pipe.ask
        finally:
            _end(process)


class _Pipe:
    """Lines to a process, and lines from it."""

    def __init__(self, process: subprocess.Popen[str], log: Path) -> None:
        self._process, self._log = process, log

    def ask(self, questions: Sequence[Question]) -> list[FloatArray]:
        line = json.dumps([[list(text), list(after)] for text, after in questions])
        out: Any = self._process.stdin  # a pipe was asked for, so it is never None
        try:
            out.write(line + "\n")
            out.flush()
        except OSError:
            self._fail()
        return [np.array(one, np.float64) for one in self.heard("answers")]

    def heard(self, key: str) -> Any:
        """What the next line has under this key."""
        pipe: Any = self._process.stdout
        line = pipe.readline()
        if not line:
            self._fail()
        return json.loads(line)[key]

    def _fail(self) -> None:
        code = self._process.wait()
        how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
        last = self._log.read_text("utf-8", errors="replace").splitlines()[-LAST_LINES:]
        raise PoloError(
            f"the vLLM worker {how}; the last lines of its log:\n" + "\n".join(f"  {line}" for line in last),
            where="evaluate.scorer",
            fix="look at the log's last lines, or search with the policy itself: leave the scorer out",
        )


def _end(process: subprocess.Popen[str]) -> None:
    """Closes the pipes, after which the process ends by itself; one that does not is killed."""
    for pipe in (process.stdin, process.stdout):
        try:
            pipe.close()  # type: ignore[union-attr]
        except OSError:  # what was left to write to a process that is gone
            continue
    try:
        process.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
