"""Two exact ways from rows to scores with one engine. Knows what to ask; the engine knows how."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from .engine import Engine
from .files import Row
from .guard import UnreadableError, believable, title_sum
from .trie import asks, sums

#: requests handed to the engine at once: bounds memory, and keeps a row's requests near each other for the cache
REQUESTS = 4096


class Strategy(Protocol):
    """Scores of rows: for each row a list of log-probabilities in nats, one for each title."""

    name: str
    #: requests sent so far, and how many of them had to be sent a second time
    sent: int
    repeated: int

    def score(self, rows: Sequence[Row]) -> list[list[float]]: ...


class Trie:
    """One next-token question for each inner node of the tree of a row's titles."""

    name = "trie"

    def __init__(self, engine: Engine, requests: int = REQUESTS) -> None:
        self._engine, self._requests, self.sent, self.repeated = engine, requests, 0, 0

    def score(self, rows: Sequence[Row]) -> list[list[float]]:
        asked = [asks(row.titles) for row in rows]
        flat = [([*row.prompt, *ask.prefix], ask.children) for row, own in zip(rows, asked, strict=True) for ask in own]
        answers: list[dict[int, float]] = []
        for start in range(0, len(flat), self._requests):
            chunk = flat[start : start + self._requests]
            answers += self._engine.next_logprobs([p for p, _ in chunk], [c for _, c in chunk])
        self.sent += len(flat)
        found, at = [], 0
        for row, own in zip(rows, asked, strict=True):
            found.append(sums(row.titles, own, answers[at : at + len(own)]))
            at += len(own)
        return found


class PromptLogprobs:
    """One request for each title that reads the row's prompt from the cache; those that read too much are repeated."""

    name = "prompt_logprobs"

    def __init__(self, engine: Engine, requests: int = REQUESTS) -> None:
        self._engine, self._requests, self.sent, self.repeated = engine, requests, 0, 0

    def score(self, rows: Sequence[Row]) -> list[list[float]]:
        found: list[list[float]] = []
        for group in _groups(rows, self._requests):
            self._engine.warm([row.prompt for row in group])
            found += self._group(group)
        return found

    def _group(self, rows: Sequence[Row]) -> list[list[float]]:
        flat = [(row, title) for row in rows for title in row.titles]
        texts = [[*row.prompt, *title] for row, title in flat]
        quick = self._engine.prompt_logprobs(texts, use_cache=True)
        values: dict[int, float] = {}
        for i, ((row, title), (cached, entries)) in enumerate(zip(flat, quick, strict=True)):
            if believable(cached, len(row.prompt)):
                with contextlib.suppress(UnreadableError):
                    values[i] = title_sum(entries, title)
        again = [i for i in range(len(flat)) if i not in values]
        if again:
            whole = self._engine.prompt_logprobs([texts[i] for i in again], use_cache=False)
            values |= {i: title_sum(entries, flat[i][1]) for i, (_, entries) in zip(again, whole, strict=True)}
        self.sent, self.repeated = self.sent + len(rows) + len(flat), self.repeated + len(again)
        numbers = iter(range(len(flat)))
        return [[values[next(numbers)] for _ in row.titles] for row in rows]


def _groups(rows: Sequence[Row], requests: int) -> Iterator[list[Row]]:
    """Rows in their order, in groups of at most ``requests`` titles (a row with more is a group of its own)."""
    group: list[Row] = []
    size = 0
    for row in rows:
        if group and size + len(row.titles) > requests:
            yield group
            group, size = [], 0
        group.append(row)
        size += len(row.titles)
    if group:
        yield group


#: name -> how to make it
STRATEGIES: Mapping[str, Callable[[Engine], Strategy]] = {"trie": Trie, "prompt_logprobs": PromptLogprobs}
