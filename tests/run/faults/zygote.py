"""Runs polo in forked children, so that torch is imported once however many runs are killed.

Reads one JSON job a line from stdin and answers with the child's wait status on stdout. A job: ``words`` of the command
line; ``folder`` to work in; ``environment``; ``said``: file for stdout and stderr; ``die_at``: the process kills itself
with SIGKILL when it begins the n-th change of a file below ``folder`` (counted from 1); ``changes``: file for the list
of these changes; ``signal_in``: a text, a number n and further numbers: the process sends itself SIGINT at the n-th
change that holds the text, and as many changes later as each further one says (how many changes came before depends on
the clock: the cache of hashes passes over files that are too young); ``largest``: bytes that a file may have
(RLIMIT_FSIZE).
"""

from __future__ import annotations

import json
import os
import resource
import signal
import sys
from pathlib import Path
from typing import Any

import peft  # noqa: F401 - imported once, for all children
import pyarrow.parquet  # noqa: F401
import transformers  # noqa: F401

import polo.run.run  # noqa: F401
import polo_causal_lm.policy  # noqa: F401
from polo.cli import main

CHANGING = {"os.rename", "os.mkdir", "os.remove", "os.rmdir"}


def watch(job: dict[str, Any]) -> None:
    """Counts changes below the job's folder; Python announces them before they happen."""
    root, seen, named, at = job["folder"] + os.sep, 0, 0, None
    record = os.open(job["changes"], os.O_WRONLY | os.O_CREAT | os.O_APPEND) if "changes" in job else None
    text, nth, *later = job.get("signal_in", ("", 0))

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        nonlocal seen, named, at
        if event == "open":
            path, mode, flags = arguments
            if not (set(mode or "") & set("wax+") or (mode is None and flags & (os.O_WRONLY | os.O_RDWR))):
                return
        elif event in CHANGING:
            path = arguments[0]
        else:
            return
        place = os.fspath(path) if isinstance(path, str | os.PathLike) else ""
        if not str(place).startswith(root):
            return
        seen += 1
        if record is not None:
            os.write(record, f"{event} {str(place).removeprefix(root)}\n".encode())
        if seen == job.get("die_at"):
            os.kill(os.getpid(), signal.SIGKILL)
        named += text in str(place)
        if at is None and named == nth > 0:
            at = seen
        if at is not None and seen - at in (0, *later):
            signal.raise_signal(signal.SIGINT)

    sys.addaudithook(hook)


def child(job: dict[str, Any]) -> None:
    said = os.open(job["said"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.chdir(job["folder"])
    os.environ.update(job.get("environment", {}))
    watch(job)
    if "largest" in job:
        resource.setrlimit(resource.RLIMIT_FSIZE, (job["largest"], job["largest"]))
    main(job["words"])


def serve() -> None:
    for line in sys.stdin:
        job = json.loads(line)
        number = os.fork()
        if number == 0:
            code = 99
            try:
                child(job)
            except SystemExit as stopped:
                code = stopped.code if isinstance(stopped.code, int) else int(stopped.code is not None)
            except BaseException:
                import traceback

                traceback.print_exc()
            finally:
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(code)
        _, status = os.waitpid(number, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    Path(sys.argv[1]).touch()  # imports are done
    serve()
