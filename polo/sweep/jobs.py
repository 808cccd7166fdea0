"""Several polo processes side by side on this machine, at most so many at once. Knows processes, not what they do.

Ctrl-C and SIGTERM are handed on to the processes, which are in groups of their own so that each hears them once; each
saves what it has and ends, and no other is started. A second Ctrl-C is handed on too, and ends them at once.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import IO, Final

from polo.errors import PoloError

POLL: Final = 0.05
#: what a process says that was stopped and has saved what it had
STOPPED: Final = (130, -signal.SIGINT, -signal.SIGTERM)


class Stopped(Exception):  # noqa: N818 - an event, not a fault
    """The user asked to stop, and every process has ended."""


def polo_words(words: Sequence[str]) -> list[str]:
    """A command line that is polo with these words, in a process of its own."""
    # `-m` would import from the current folder, whatever lies there, which the command `polo` does not
    safe = [] if {"", str(Path.cwd())} & set(sys.path) else ["-P"]
    return [sys.executable, *safe, "-m", "polo", *words]


@dataclass
class _Working:
    """Processes that run at this moment, and whether there will be more."""

    children: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = field(default_factory=dict)
    stopping: bool = False

    def tell(self, number: int) -> None:
        for child, _ in self.children.values():
            child.send_signal(number)


def side_by_side(
    commands: Mapping[str, Sequence[str]], jobs: int, say: Callable[[str], None], *, show: bool = False
) -> dict[str, str]:
    """Runs programs in the order given, ``jobs`` of them at once.

    Args:
        commands: name -> program and arguments.
        jobs: how many at once, which share the cores: each gets as many threads as leave room for the others.
        say: is told in a line of each that ends.
        show: what they say on stderr is shown at once; else it is when one fails.

    Returns:
        Name -> what it wrote on stdout.

    Raises:
        Stopped: by Ctrl-C or SIGTERM.
        PoloError: one failed; the others were stopped.
    """
    said: dict[str, str] = {}
    waiting, working = dict(commands), _Working()
    failed: PoloError | None = None
    with ExitStack() as stack, _signals(working):
        while waiting or working.children:
            while waiting and len(working.children) < jobs and not working.stopping:
                name = next(iter(waiting))
                out: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                err: IO[bytes] = stack.enter_context(tempfile.TemporaryFile())
                threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // jobs)))
                environment = {**os.environ, "OMP_NUM_THREADS": threads}
                words = list(waiting.pop(name))
                child = subprocess.Popen(  # noqa: S603
                    words, stdout=out, stderr=None if show else err, env=environment, process_group=0
                )
                working.children[name] = child, err
                said[name] = ""
                stack.callback(_collect, out, name, said)
            if working.stopping and not working.children:
                break
            for name, (child, heard) in list(working.children.items()):
                code = child.poll()
                if code is None:
                    continue
                del working.children[name]
                if code == 0:
                    say(f"{name}: done ({len(commands) - len(waiting) - len(working.children)} of {len(commands)})")
                elif code not in STOPPED or not working.stopping:
                    failed = failed or _failure(name, code, heard)
                    working.stopping = True
                    working.tell(signal.SIGTERM)
            time.sleep(POLL)
    if failed is not None:
        raise failed
    if working.stopping:
        raise Stopped
    return said


def _collect(out: IO[bytes], name: str, said: dict[str, str]) -> None:
    out.seek(0)
    said[name] = out.read().decode(errors="replace")


def _failure(name: str, code: int, err: IO[bytes]) -> PoloError:
    err.seek(0)
    text = err.read().decode(errors="replace").strip()
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
    error = PoloError(
        f"{name} {how}" + (f"; it said:\n{text}" if text else ""), fix="the same command goes on where it stopped"
    )
    error.exit_code = code if code > 0 else 1
    return error


@contextmanager
def _signals(working: _Working) -> Iterator[None]:
    def handed_on(number: int, frame: FrameType | None) -> None:
        working.stopping = True
        working.tell(number)

    old = {number: signal.signal(number, handed_on) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, before in old.items():
            signal.signal(number, before)
        for child, _ in working.children.values():  # none, unless this process itself failed
            child.terminate()
