"""Cells over several processes until the time is up. Knows processes and queues; not what a cell is made of."""

from __future__ import annotations

import multiprocessing
import os
import queue
import sys
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from typing import Any

#: a worker's answer: the job's number, what it made or ``None``, what went wrong or ``""``
Answer = tuple[int, Any, str]


def over(
    jobs: Sequence[Any], work: Callable[[], Callable[[Any], Any]], processes: int, seconds: float | None
) -> Iterator[Answer]:
    """What each job made, as it is finished; jobs begin in their order.

    Args:
        jobs: what the work is called with, one after the other.
        work: called once in each process, gives what does a job; at the top of a module, so that it can be sent.
        processes: how many.
        seconds: after which what is not finished is given up; ``None``: never.
    """
    ends = float("inf") if seconds is None else time.monotonic() + seconds
    make = multiprocessing.get_context("spawn")
    todo, done = make.Queue(), make.Queue()
    workers = [make.Process(target=_worker, args=(work, todo, done), daemon=True)
               for _ in range(min(processes, len(jobs)))]  # fmt: skip
    for number, job in enumerate(jobs):
        todo.put((number, job))
    for worker in workers:
        todo.put(None)
        worker.start()
    try:
        left = len(jobs)
        while left and time.monotonic() < ends:
            try:
                yield done.get(timeout=min(1.0, max(0.01, ends - time.monotonic())))
                left -= 1
            except queue.Empty:
                if not any(worker.is_alive() for worker in workers):
                    return
    finally:
        todo.cancel_join_thread()
        for worker in workers:
            worker.kill()  # a run answers SIGTERM by finishing its step and keeping a checkpoint
        for worker in workers:
            worker.join()


def _worker(work: Callable[[], Callable[[Any], Any]], todo: Any, done: Any) -> None:
    # what runs say is of no use where several speak at once
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())
    do = work()
    while (given := todo.get()) is not None:
        number, job = given
        try:
            done.put((number, do(job), ""))
        except Exception:
            done.put((number, None, traceback.format_exc()))
