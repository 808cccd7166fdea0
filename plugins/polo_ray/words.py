"""What workers say to whoever launched them, and what they are asked to do. An actor of its own: knows text and codes.

It lives beside the launcher. A worker that is gone has left its words here.
"""

from __future__ import annotations

#: characters that are kept of what a silent worker says
LAST = 20_000


class Words:
    """Output of the first worker, exit codes of all, and the signal that they are to be sent.

    Args:
        again: codes after which another start may help.
    """

    def __init__(self, again: frozenset[int]) -> None:
        self._again = again
        self._said: list[tuple[str, str]] = []
        self._tails: dict[int, str] = {}
        self._ended: list[tuple[int, int]] = []
        self._signals: list[int] = []

    def begin(self) -> list[int]:
        """A start of all workers: who ended before counts no more. Gives the signals that were asked for before."""
        self._ended, self._tails = [], {}
        return list(self._signals)

    def say(self, rank: int, stream: str, text: str) -> None:
        """Text of a worker's stdout or stderr; only the first worker is heard."""
        if rank == 0:
            self._said.append((stream, text))
        else:
            self._tails[rank] = (self._tails.get(rank, "") + text)[-LAST:]

    def ended(self, rank: int, code: int) -> None:
        """The process of a worker ended; negative codes are signals."""
        self._ended.append((rank, code))

    def heard(self) -> list[tuple[str, str]]:
        """What was said since the last call, as (stream, text)."""
        said, self._said = self._said, []
        return said

    def first(self) -> tuple[int, int] | None:
        """Rank and code of the worker that failed first; one whose code is final goes before others.

        What the others say when they lose it is no news.
        """
        failed = [(rank, code) for rank, code in self._ended if code]
        final = [(rank, code) for rank, code in failed if self.is_final(code)]
        return next(iter([*final, *failed]), None)

    def is_final(self, code: int) -> bool:
        """Whether another start would end in the same way."""
        return code > 0 and code not in self._again

    def tail(self, rank: int) -> str:
        """The last words of a worker that was not heard."""
        return self._tails.get(rank, "")

    def ask(self, number: int) -> None:
        """Has a signal sent to all workers' processes."""
        self._signals.append(number)

    def asked(self) -> list[int]:
        """The signals that were asked for."""
        return list(self._signals)
