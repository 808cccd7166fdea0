"""Who waits is answered together, in order, and a fault stays with its question."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from contextlib import suppress

import pytest

from polo.serve.batching import Batches, Full


def test_those_who_come_meanwhile_are_the_next_batch() -> None:
    gate, sizes = threading.Semaphore(0), list[int]()

    def answer(asked: Sequence[int]) -> list[int | Exception]:
        gate.acquire()
        return [ValueError(str(one)) if one == 3 else one * 10 for one in asked]

    async def all_of_it() -> list[int | BaseException]:
        batches: Batches[int, int] = Batches(answer, together=3, waiting=9, seen=sizes.append)
        async with batches.answering():
            first = asyncio.create_task(batches.ask(0))
            while not sizes:  # until the first is under way
                await asyncio.sleep(0)
            others = [asyncio.create_task(batches.ask(one)) for one in range(1, 6)]
            await asyncio.sleep(0)
            assert len(batches) == 5
            gate.release(3)
            return await asyncio.gather(first, *others, return_exceptions=True)

    *found, four, five = asyncio.run(all_of_it())
    assert sizes == [1, 3, 2], "one alone at once; then three at most"
    assert found[:3] == [0, 10, 20]
    assert isinstance(found[3], ValueError)
    assert (four, five) == (40, 50)


def test_too_many_are_sent_away_and_who_is_gone_is_not_answered() -> None:
    gate, seen = threading.Semaphore(0), list[list[int]]()

    def answer(asked: Sequence[int]) -> list[int | Exception]:
        seen.append(list(asked))
        gate.acquire()
        return list(asked)

    async def all_of_it() -> None:
        batches: Batches[int, int] = Batches(answer, together=3, waiting=2)
        async with batches.answering():
            first = asyncio.create_task(batches.ask(0))
            while not seen:
                await asyncio.sleep(0)
            gone, stays = asyncio.create_task(batches.ask(1)), asyncio.create_task(batches.ask(2))
            await asyncio.sleep(0)
            with pytest.raises(Full):
                await batches.ask(3)
            gone.cancel()
            with suppress(asyncio.CancelledError):
                await gone
            gate.release(2)
            assert (await first, await stays) == (0, 2)

    asyncio.run(all_of_it())
    assert seen == [[0], [2]]


def test_a_batch_that_breaks_is_told_to_each_and_the_next_is_answered() -> None:
    def answer(asked: Sequence[int]) -> list[int | Exception]:
        if 1 in asked:
            raise MemoryError("full")
        return list(asked)

    async def all_of_it() -> int:
        batches: Batches[int, int] = Batches(answer, together=3, waiting=9)
        async with batches.answering():
            with pytest.raises(MemoryError, match="full"):
                await batches.ask(1)
            return await batches.ask(2)

    assert asyncio.run(all_of_it()) == 2
