"""Several processes of one run on one machine: starts them, and sees that all go on or all end.

Knows processes, not what they compute; imports no torch. Programs that start processes themselves (torchrun, those of
clusters) set ``LOCAL_RANK`` and do without this. torch's own agent is not used, since it stops the others at the moment
when one of them fails, before they have said why (``tests/run/test_elastic.py`` shows it), and takes torch to start.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from types import FrameType
from typing import IO, Annotated

from annotated_types import Ge

from polo.context import Context
from polo.errors import PoloError
from polo.protocols import Work

#: seconds that the others have to end by themselves after one has failed, and again after they were asked to
GRACE = 10.0
POLL = 0.05

#: what gloo and NCCL say when the other end of a connection is gone
_GONE = ("Connection closed by peer", "Connection reset by peer", "Broken pipe", "remote process exited")

Child = subprocess.Popen[bytes]


@dataclass(frozen=True, kw_only=True)
class LocalOptions:
    """Options of ``local``."""

    #: how often all processes begin again, from the newest checkpoint, after one of them was lost
    restarts: Annotated[int, Ge(0)] = 0


class Local:
    """Processes of this machine; follows :class:`polo.protocols.Launcher`."""

    def __init__(self, options: LocalOptions, context: Context) -> None:
        self._restarts, self._say = options.restarts, context.say

    def launch(self, work: Work) -> int:
        """Runs the processes, anew after a failure as often as the options allow; a mistake of the user is no failure.

        Raises:
            PoloError: a process was ended by a signal, once more than there are restarts.
        """
        for left in range(self._restarts, -1, -1):
            try:
                code = launch(work.words, work.processes)
            except PoloError as error:
                if not left:
                    raise
                what = error.what
            else:
                if code not in work.again or not left:
                    return code
                what = f"a process ended with code {code}"
            self._say(f"{what}; all begin again from the newest checkpoint ({self._restarts - left + 1} of "
                      f"{self._restarts})")  # fmt: skip
        raise AssertionError  # the last turn returns or raises


def launch(words: Sequence[str], processes: int) -> int:
    """Runs a program ``processes`` times over, as the ranks of one group, and waits for all of them.

    The first one has our stdout and stderr; what another one says is shown if it is the first to fail.

    Args:
        words: the program and its arguments.
        processes: how many.

    Returns:
        0, or the exit code of the first process that failed.

    Raises:
        PoloError: a process was ended by a signal (for example because memory ran out).
    """
    with ExitStack() as stack:
        said = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(processes)]
        port = _free_port()
        children = [_start(words, rank, processes, port, said[rank]) for rank in range(processes)]
        stack.enter_context(_signals(children))
        first = _wait(children)
        if first is None:
            return 0
        code = int(children[first].returncode)
        if code < 0:
            raise PoloError(
                f"process {first + 1} of {processes} was ended by {signal.Signals(-code).name}, so all were stopped",
                fix="go on with the same command and --resume RUN; if memory ran out, lower tokens_per_pass",
            )
        if first and children[0].returncode != code:  # else the first process failed in the same way and said so
            said[first].seek(0)
            sys.stderr.write(said[first].read().decode(errors="replace"))
        return code


def peer_lost(error: BaseException) -> BaseException:
    """The error to report in the place of ``error``: one that only says that another process is gone is told as that.

    Example:
        >>> print(peer_lost(RuntimeError("[gloo/pair.cc:534] Connection closed by peer [127.0.0.1]:1")))
        another process of this run ended while this one waited for it
          -> see what it said (nothing if killed for want of memory: lower tokens_per_pass), then use --resume RUN
    """
    if isinstance(error, RuntimeError) and any(sign in str(error) for sign in _GONE):
        return PoloError(
            "another process of this run ended while this one waited for it",
            fix="see what it said (nothing if killed for want of memory: lower tokens_per_pass), then use --resume RUN",
        )
    return error


def _start(words: Sequence[str], rank: int, processes: int, port: int, said: IO[bytes]) -> Child:
    group = {
        "RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": processes, "LOCAL_WORLD_SIZE": processes,
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port,
    }  # fmt: skip
    # more threads than cores would slow all of them down
    threads = os.environ.get("OMP_NUM_THREADS", str(max(1, (os.cpu_count() or 1) // processes)))
    environment = {**os.environ, **{name: str(value) for name, value in group.items()}, "OMP_NUM_THREADS": threads}
    own = None if rank == 0 else said
    return subprocess.Popen(list(words), env=environment, stdout=own, stderr=own)  # noqa: S603


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


@contextmanager
def _signals(children: Sequence[Child]) -> Iterator[None]:
    """Ctrl-C reaches the children by itself (they are in the terminal's group); SIGTERM is handed on to them."""

    def ignore(number: int, frame: FrameType | None) -> None: ...

    def hand_on(number: int, frame: FrameType | None) -> None:
        for child in children:
            child.send_signal(number)

    old = {signal.SIGINT: signal.signal(signal.SIGINT, ignore), signal.SIGTERM: signal.signal(signal.SIGTERM, hand_on)}
    try:
        yield
    finally:
        for number, handler in old.items():
            signal.signal(number, handler)


def _wait(children: Sequence[Child]) -> int | None:
    """Waits for all; the number of the first that failed. The others get time to end, then SIGTERM, then SIGKILL."""
    first, since = None, 0.0
    harsher = [Child.terminate, Child.kill]
    while any(child.poll() is None for child in children):
        if first is None:
            failed = [rank for rank, child in enumerate(children) if child.poll()]
            if failed:
                first, since = failed[0], time.monotonic()
        elif harsher and time.monotonic() - since > GRACE:
            stop, since = harsher.pop(0), time.monotonic()
            for child in children:
                if child.poll() is None:
                    stop(child)
        time.sleep(POLL)
    return next((rank for rank, child in enumerate(children) if child.returncode), None) if first is None else first
