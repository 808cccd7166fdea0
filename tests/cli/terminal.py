"""polo on a terminal of some width: a process whose stdout and stderr are pseudo terminals."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

#: polo, command by command in one process, which imports what they share once
_MANY = """
import json, sys
from polo.cli import main
for words in json.loads(sys.argv[1]):
    try:
        main(words)
    except SystemExit as end:
        sys.stdout.write(f"\\x1e{int(end.code or 0)}\\x1e")
        sys.stdout.flush()
"""
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
#: select graphic rendition, which sets colours (30-49, 90-107) and weights (0-9, 22)
_LOOKS = re.compile(r"\x1b\[([0-9;]*)m")


@dataclass(frozen=True)
class Shown:
    """What one command wrote on the terminal.

    Args:
        raw: stdout with its control sequences.
    """

    words: tuple[str, ...]
    code: int
    raw: str

    @property
    def lines(self) -> list[str]:
        return CONTROLS.sub("", self.raw).replace("\r\n", "\n").strip("\n").split("\n")


def colours(raw: str) -> set[int]:
    """The codes in it that set a colour."""
    found = {int(code) for codes in _LOOKS.findall(raw) for code in codes.split(";") if code}
    return {code for code in found if code >= 30}


def shown(place: Path, commands: Sequence[Sequence[str]], width: int, **variables: str) -> tuple[list[Shown], str]:
    """What each command writes on a terminal of ``width`` columns, and what all of them wrote on stderr (another one).

    Args:
        place: folder in which they run.
        variables: of the environment.
    """
    hidden = ("COLUMNS", "LINES", "NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE", "COLORTERM")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    environment |= {"TERM": "xterm-256color", "POLO_CACHE": str(place / "cache"), **variables}
    ends = [pty.openpty(), pty.openpty()]
    for _, inner in ends:
        fcntl.ioctl(inner, termios.TIOCSWINSZ, struct.pack("HHHH", 40, width, 0, 0))
    words = [sys.executable, "-c", _MANY, json.dumps([list(one) for one in commands])]
    with subprocess.Popen(words, stdout=ends[0][1], stderr=ends[1][1], stdin=subprocess.DEVNULL, cwd=place,
                          env=environment):  # fmt: skip
        for _, inner in ends:
            os.close(inner)
        out, err = _read([outer for outer, _ in ends])
    pieces = out.split("\x1e")
    told = [Shown(tuple(one), int(pieces[2 * at + 1]), pieces[2 * at]) for at, one in enumerate(commands)]
    return told, err


def _read(ends: list[int]) -> list[str]:
    told = dict.fromkeys(ends, b"")
    living = list(ends)
    while living:
        for end in select.select(living, [], [])[0]:
            data = b""
            with contextlib.suppress(OSError):  # EIO: nobody has the other end open any more
                data = os.read(end, 65536)
            told[end] += data
            if not data:
                living.remove(end)
                os.close(end)
    return [told[end].decode() for end in ends]
