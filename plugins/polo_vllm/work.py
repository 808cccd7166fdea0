"""From rows to the parts of a job: what is asked, in which order, and the key that tells one job from another.

The rows of the parity check are part 0, so that a wrong engine is found before the rest is scored.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from polo import IntArray, Rows
from polo_vllm.model import TextPolicy
from polo_vllm.worker.files import JobFolder

Record = tuple[int, list[int], list[int]]


@dataclass(frozen=True)
class Work:
    """All token ids of a job.

    Args:
        prompts: N arrays of token ids.
        titles: token ids of each title that occurs, the end token included.
        words: what those ids spell.
        numbers: ``[N, n]`` which title each candidate is.
        order: row numbers in the order in which they are scored.
        first: how many of them make up part 0.
        part_rows: rows of each further part.
    """

    prompts: Sequence[IntArray]
    titles: Sequence[IntArray]
    words: Sequence[str]
    numbers: IntArray
    order: IntArray
    first: int
    part_rows: int

    @classmethod
    def of(cls, policy: TextPolicy, rows: Rows, candidates: IntArray, check: IntArray, part_rows: int) -> Work:
        """Encodes ``rows`` with ``candidates [N, n]``; ``check`` are the row numbers that come first."""
        items, inverse = np.unique(candidates, return_inverse=True)
        titles = policy.texts.encode(rows[:1], items[None, :]).titles[0]
        prompts = policy.texts.encode(rows, candidates[:, :1]).prompts
        order = np.concatenate([check, np.setdiff1d(np.arange(len(rows)), check)])
        words = policy.texts.words(items)
        return cls(prompts, titles, words, inverse.reshape(candidates.shape), order, len(check), part_rows)

    @property
    def lengths(self) -> IntArray:
        """``[N, n]`` tokens of each candidate, the end token included."""
        lengths: IntArray = np.array([len(title) for title in self.titles], dtype=np.int64)[self.numbers]
        return lengths

    @property
    def longest(self) -> int:
        """Tokens of the longest prompt with the longest title."""
        return max(len(prompt) for prompt in self.prompts) + max(len(title) for title in self.titles)

    @property
    def parts(self) -> int:
        """How many parts there are."""
        return 1 + -(-(len(self.order) - self.first) // self.part_rows)

    def rows_of(self, part: int) -> IntArray:
        """Row numbers of a part."""
        if part == 0:
            return self.order[: self.first]
        start = self.first + (part - 1) * self.part_rows
        return self.order[start : start + self.part_rows]

    def records(self) -> Iterator[list[Record]]:
        """The parts, as the job folder writes them."""
        for part in range(self.parts):
            yield [(int(i), self.prompts[i].tolist(), self.numbers[i].tolist()) for i in self.rows_of(part)]

    def write(self, job: JobFolder, settings: Mapping[str, Any]) -> None:
        """Writes the job, or only its settings where the work is there already."""
        if job.exists():
            job.write_json("job.json", {**settings, "parts": self.parts})
        else:
            job.create(settings, [title.tolist() for title in self.titles], self.records(), self.words)


def key(policy_fingerprint: str, adapters: str, rows: Rows, candidates: IntArray, options: object, task: str) -> str:
    """Name of a job: equal for equal work, so that a second start finds the parts of the first."""
    digest = hashlib.blake2b(digest_size=12)
    digest.update(json.dumps([policy_fingerprint, adapters, repr(options), task]).encode())
    for array in (rows.id, rows.history, rows.target, candidates):
        digest.update(str(array.shape).encode() + np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def gather(job: JobFolder, work: Work, part: int, scores: npt.NDArray[np.float64]) -> dict[str, str]:
    """Puts the scores of a part into ``scores [N, n]``; returns the part's facts."""
    columns, facts = job.part(part)
    scores[np.array(columns["row"], dtype=np.int64)] = np.array(columns["scores"], dtype=np.float64)
    return facts


def position_limit(base: Path) -> int | None:
    """Most positions that a model's config allows; ``None`` if it does not say."""
    config = json.loads((base / "config.json").read_text("utf-8"))
    limit: int | None = config.get("max_position_embeddings") or config.get("text_config", {}).get(
        "max_position_embeddings"
    )
    return limit
