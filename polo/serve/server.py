"""The service on a port until it is told to stop. Knows uvicorn and signals, which only the extra brings."""

from __future__ import annotations

import signal
import socket
from collections.abc import Callable
from typing import Any

import uvicorn

from polo.errors import InputError


def bound(host: str, port: int) -> socket.socket:
    """A socket that listens.

    Raises:
        InputError: the port is taken, or the host is none of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns Nagle's algorithm off only where the protocol is said; else the body of an answer waits 40 ms
    made = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
        made.listen(128)
    except OSError as error:
        made.close()
        raise InputError(
            f"cannot listen: {error.strerror or error}", where=f"{host}:{port}", fix="choose another --port or --host"
        ) from error
    return made


def address(listening: socket.socket) -> str:
    """Where a socket listens, as a URL."""
    host, port = listening.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def serve(app: Any, listening: socket.socket, seconds: float, ready: Callable[[], None]) -> None:
    """Answers until SIGTERM or Ctrl-C; then takes no new connection, finishes what is under way, and returns.

    Args:
        app: of ASGI.
        listening: by :func:`bound`.
        seconds: how long what is under way may take; a second signal ends it at once.
        ready: is called when a signal would be heard.
    """
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, lifespan="on", timeout_graceful_shutdown=int(seconds) + 1,
        server_header=False,
    )  # fmt: skip
    server = uvicorn.Server(config)

    def stop(number: int, frame: object) -> None:
        server.should_exit = True  # before it runs; afterwards it hands the signal on to here, which is then no news

    before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        ready()
        server.run(sockets=[listening])
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        listening.close()
