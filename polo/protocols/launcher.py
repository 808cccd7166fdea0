"""What starts the processes of a run, here or elsewhere, and waits for them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

#: exit code of a process that met something unforeseen: what may go well another time
FAILED = 1


@dataclass(frozen=True, kw_only=True)
class Work:
    """What a launcher runs.

    Args:
        words: program and arguments of one process. Processes that are started with them once more go on where those
            before them stopped, at their newest checkpoint, however many there are then.
        processes: how many.
        again: exit codes after which another start may help; after others, such as that of a user's mistake, none does.
    """

    words: tuple[str, ...]
    processes: int
    again: frozenset[int] = frozenset({FAILED})


@runtime_checkable
class Launcher(Protocol):
    """Runs ``polo run --launcher NAME``: the same program several times over, as the ranks of one torch group.

    Each process finds ``RANK``, ``LOCAL_RANK``, ``WORLD_SIZE``, ``LOCAL_WORLD_SIZE``, ``MASTER_ADDR`` and
    ``MASTER_PORT`` in its environment; by ``LOCAL_RANK`` it knows that it was launched. What the process of rank 0
    writes to stdout and stderr is the run's; SIGINT or SIGTERM reaches each process once, so that it saves and ends.
    """

    def launch(self, work: Work) -> int:
        """Waits until all processes have ended; no process is left then.

        Returns:
            0, or the exit code of a process that failed.

        Raises:
            InputError: the launcher cannot be used here.
            PoloError: a process was lost, and starting all again is not asked for or did not help.
        """
