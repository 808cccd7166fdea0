"""What a worker of Ray Train does: it runs one process of the group, passes on what that says, and ends as that ends.

The process is one of its own, since it handles signals and may be killed; it never outlives the worker.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from typing import IO, Any

#: seconds between two looks at the process
POLL = 0.2
#: seconds that a worker waits, when its process failed, for another one to say that a new start would not help
GRACE = 2.0

#: becomes the program in its arguments, which is killed when the thread that started it ends: prctl(PR_SET_PDEATHSIG).
#: Ray blocks SIGINT in what it starts, and what that starts inherits it: there it would wait for ever
BOUND = (
    "import ctypes, os, signal, sys; ctypes.CDLL(None).prctl(1, 9); os.getppid() == int(sys.argv[1]) or os._exit(1); "
    "signal.signal(signal.SIGINT, signal.SIG_DFL); signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT}); "
    "os.execv(sys.argv[2], sys.argv[2:])"
)


class LostError(RuntimeError):
    """The process of a worker is gone, and another start may help."""


def work(config: Mapping[str, Any]) -> int:
    """Runs the process of one worker; returns its exit code.

    Args:
        config: ``words`` (program and arguments), ``python`` (what among them means Python), ``folder`` (the current
            one), ``environment``, ``listener`` (an actor, see :class:`polo_ray.words.Words`).

    Raises:
        LostError: it ended in a way after which Ray Train is to start all workers again.
    """
    import ray
    from ray.train import get_context
    from ray.train.collective import broadcast_from_rank_zero

    context, listener = get_context(), config["listener"]
    rank = context.get_world_rank()
    address, port, sent = broadcast_from_rank_zero(_meeting(ray, listener) if rank == 0 else None)
    place = {
        "RANK": rank, "LOCAL_RANK": context.get_local_rank(), "WORLD_SIZE": context.get_world_size(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(), "MASTER_ADDR": address, "MASTER_PORT": port,
    }  # fmt: skip
    environment = {**os.environ, **config["environment"], **{name: str(value) for name, value in place.items()}}
    words = [sys.executable if word == config["python"] else word for word in config["words"]]
    bound = [sys.executable, "-c", BOUND, str(os.getpid()), *words]
    # in a session of its own: Ctrl-C in a terminal reaches it once, through the launcher, and not by itself as well
    with subprocess.Popen(  # noqa: S603
        bound, cwd=config["folder"], env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        start_new_session=True,
    ) as process:  # fmt: skip
        heard = [_pass_on(process.stdout, "stdout", rank, listener), _pass_on(process.stderr, "stderr", rank, listener)]
        code = _watched(process, ray, listener, len(sent))
        for thread in heard:
            thread.join()
    ray.get(listener.ended.remote(rank, code))
    if code < 0 or (code and not _final(ray, listener, code)):
        raise LostError(f"process {rank + 1} of {context.get_world_size()} ended with code {code}")
    return code


def _meeting(ray: Any, listener: Any) -> tuple[str, int, list[int]]:
    """Where the processes meet, on the node of the first; and the signals that were asked for by now."""
    with socket.socket() as found:
        found.bind(("", 0))
        return ray.util.get_node_ip_address(), int(found.getsockname()[1]), ray.get(listener.begin.remote())


def _watched(process: subprocess.Popen[bytes], ray: Any, listener: Any, sent: int) -> int:
    """The exit code; signals that are asked for reach the process, each once."""
    while True:
        try:
            return process.wait(POLL)
        except subprocess.TimeoutExpired:
            asked = ray.get(listener.asked.remote())
            for number in asked[sent:]:
                process.send_signal(number)
            sent = len(asked)


def _final(ray: Any, listener: Any, code: int) -> bool:
    """Whether this worker, or another one that failed at about the same time, met what no new start mends."""
    until = time.monotonic() + GRACE
    while True:
        first = ray.get(listener.first.remote())
        if ray.get(listener.is_final.remote(first[1] if first else code)):
            return True
        if time.monotonic() > until:
            return False
        time.sleep(POLL)


def _pass_on(pipe: IO[bytes] | None, stream: str, rank: int, listener: Any) -> threading.Thread:
    def read() -> None:
        assert pipe is not None
        # pieces as they come: a progress line has no end
        for piece in iter(lambda: os.read(pipe.fileno(), 8192), b""):
            listener.say.remote(rank, stream, piece.decode(errors="replace"))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    return thread
