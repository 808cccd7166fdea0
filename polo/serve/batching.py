"""Questions that come while others are answered wait, and are answered together. Knows asyncio; knows no questions.

Nobody waits for others to come: a question alone is answered at once, and those that came meanwhile are the next batch.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Answer = TypeVar("Answer")


class Full(Exception):  # noqa: N818 - what happened to a question, not a fault
    """Too many wait already."""


class Batches(Generic[Asked, Answer]):
    """One thread that answers batches; the loop stays free for others.

    Args:
        answer: answers a batch; an exception in a place belongs to the question there. Runs in the thread.
        together: most questions of a batch.
        waiting: most questions that wait.
        seen: is told the size of each batch.
    """

    def __init__(
        self,
        answer: Callable[[Sequence[Asked]], Sequence[Answer | Exception]],
        together: int,
        waiting: int,
        seen: Callable[[int], None] = lambda size: None,
    ) -> None:
        self._answer, self._together, self._most, self._seen = answer, together, waiting, seen
        self._waiting: deque[tuple[Asked, asyncio.Future[Answer]]] = deque()
        self._come = asyncio.Event()

    def __len__(self) -> int:
        """How many wait."""
        return len(self._waiting)

    async def ask(self, asked: Asked) -> Answer:
        """The answer; a question whose asker is gone before its turn is never answered.

        Raises:
            Full: too many wait.
            Exception: what ``answer`` gave in its place.
        """
        if len(self._waiting) >= self._most:
            raise Full
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        entry = (asked, future)
        self._waiting.append(entry)
        self._come.set()
        try:
            return await future
        finally:
            if future.cancelled():
                with contextlib.suppress(ValueError):  # its turn has come
                    self._waiting.remove(entry)

    @contextlib.asynccontextmanager
    async def answering(self) -> AsyncIterator[None]:
        """Questions are answered while the block runs; the batch that is under way then is finished."""
        with ThreadPoolExecutor(1, "polo-answers") as thread:
            task = asyncio.create_task(self._run(thread))
            try:
                yield
            finally:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    async def _run(self, thread: ThreadPoolExecutor) -> None:
        while True:
            await self._come.wait()
            batch = [self._waiting.popleft() for _ in range(min(self._together, len(self._waiting)))]
            if not self._waiting:
                self._come.clear()
            if not batch:
                continue
            self._seen(len(batch))
            loop = asyncio.get_running_loop()
            answers: Sequence[Answer | Exception]
            try:
                answers = await loop.run_in_executor(thread, self._answer, [asked for asked, _ in batch])
            except Exception as error:  # a fault of ours, or out of memory: told to each, and the service goes on
                answers = [error] * len(batch)
            for (_, future), answer in zip(batch, answers, strict=True):
                if future.done():
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)
