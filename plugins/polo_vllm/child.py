"""The worker in processes of its own: started, listened to, ended. Knows processes; knows nothing of models."""

from __future__ import annotations

import json
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from polo import InputError, PoloError

WORKER = Path(__file__).resolve().parent / "worker" / "__main__.py"
_WHERE = "evaluate.scorer.python"
INSTALL = "pip install 'polo-rec[vllm]'"
#: lines of a dead worker's log that its error shows
LAST_LINES = 12
#: seconds that a worker is given to end when it is told to
PATIENCE = 10.0


def interpreter(python: str | None) -> str:
    """The interpreter that has vLLM; this one for ``None``.

    Raises:
        InputError: if it does not exist, or lacks vLLM or pyarrow.
    """
    if python is None:
        return sys.executable
    found = shutil.which(str(Path(python).expanduser()))
    if found is None:
        raise InputError(
            f"there is no interpreter {python}", where=_WHERE,
            fix="give the bin/python of an environment that has vLLM",
        )  # fmt: skip
    code = "import importlib.util as u; print(*(m for m in ('vllm', 'pyarrow') if not u.find_spec(m)))"
    done = subprocess.run(  # noqa: S603 (the interpreter that the user named)
        [found, "-c", code], capture_output=True, text=True, check=False, env=environment(python)
    )
    lacking = done.stdout.split()
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]
        raise InputError(f"{python} is no Python that works: {last}", where=_WHERE, fix="give another interpreter")
    if lacking:
        packages = " ".join({"vllm": "'vllm==0.32.*'"}.get(name, name) for name in lacking)
        raise InputError(
            f"{python} lacks {' and '.join(lacking)}", where=_WHERE, fix=f"{python} -m pip install {packages}"
        )
    return found


def environment(python: str | None, devices: str | None = None) -> dict[str, str]:
    """Our environment without what would lead another interpreter, or a lone engine, astray."""
    # A launcher's ranks and ports are not the engine's.
    gone = {"RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_RANK", "MASTER_ADDR", "MASTER_PORT"}
    if python is not None:
        gone |= {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
    kept = {n: value for n, value in os.environ.items() if n not in gone and not n.startswith("TORCHELASTIC")}
    if devices is not None:
        kept["CUDA_VISIBLE_DEVICES"] = devices
    # Everything is on disk already; an engine that asks the network would hang where there is none.
    return {**kept, "HF_HUB_OFFLINE": "1", "PYTHONUNBUFFERED": "1"}


def devices_of(engine: int, engines: int, each: int) -> str | None:
    """Which GPUs engine number ``engine`` sees; ``None`` leaves them as they are (one engine).

    Example:
        >>> import os
        >>> saved = os.environ.pop("CUDA_VISIBLE_DEVICES", None)
        >>> devices_of(1, 2, 2)
        '2,3'
    """
    if engines == 1:
        return None
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    names = visible.split(",") if visible else [str(i) for i in range(engines * each)]
    return ",".join(names[engine * each : (engine + 1) * each])


class Workers:
    """One worker process for each engine; a context manager that leaves none behind.

    Args:
        job: the job folder; logs go to ``worker-I.log`` in it.
        python: as the option says; ``None`` for this interpreter.
        engines: how many.
        each: GPUs of one engine.
    """

    def __init__(self, job: Path, python: str | None, engines: int, each: int) -> None:
        self._job, self._events = job, queue.SimpleQueue[tuple[int, dict[str, Any] | None]]()
        self._processes: list[subprocess.Popen[str]] = []
        self._logs: list[IO[bytes]] = []
        program = interpreter(python)
        for i in range(engines):
            log = self._log(i).open("wb")
            self._logs.append(log)
            words = [program, str(WORKER), str(job), "--share", f"{i}/{engines}", "--parent", str(os.getpid())]
            process = subprocess.Popen(  # noqa: S603 (an interpreter that the user named, our own file)
                words, stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True,
                env=environment(python, devices_of(i, engines, each)),
            )  # fmt: skip
            self._processes.append(process)
            threading.Thread(target=self._listen, args=(i, process), daemon=True).start()

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._processes:
            if process.poll() is None:
                process.terminate()
        for process in self._processes:
            try:
                process.wait(PATIENCE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for log in self._logs:
            log.close()

    @property
    def pids(self) -> list[int]:
        """Process ids."""
        return [process.pid for process in self._processes]

    def events(self) -> Iterator[Mapping[str, Any]]:
        """What the workers say, until all have ended well.

        Raises:
            PoloError: when one ends otherwise; with the last lines of its log.
        """
        running = len(self._processes)
        while running:
            number, event = self._events.get()
            if event is not None:
                yield event
                continue
            running -= 1
            code = self._processes[number].wait()
            if code:
                how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
                raise PoloError(
                    f"the vLLM worker {how}; the last lines of its log:\n{self._tail(number)}",
                    where=str(self._log(number)),
                    fix="start again with the same command: parts that are scored already are kept",
                )

    def _listen(self, number: int, process: subprocess.Popen[str]) -> None:
        out: Any = process.stdout  # a pipe was asked for, so it is never None
        with out:
            for line in out:
                self._events.put((number, json.loads(line)))
        self._events.put((number, None))

    def _log(self, number: int) -> Path:
        return self._job / f"worker-{number}.log"

    def _tail(self, number: int) -> str:
        lines = self._log(number).read_text("utf-8", errors="replace").splitlines()
        return "\n".join(f"  {line}" for line in lines[-LAST_LINES:])
