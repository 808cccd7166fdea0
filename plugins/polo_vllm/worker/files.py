"""A job folder: work in, scores out, both in Parquet parts that are either whole or not there.

    job.json                    settings of the engine and the task; written last, so that a job is whole if it is there
    titles.parquet              token ids of every title, the end token included, and what they spell; work names them
                                by their number
    work/part-00000.parquet     row, prompt (token ids), titles (numbers)
    scores/part-00000.parquet   row, scores (nats), tokens; or row, completion (token ids where the task is to generate,
                                the number of a candidate, or -1, where it is to choose)
    strategy.json               which strategy the probe chose, and why

Knows pyarrow and nothing of vLLM or polo.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

_IDS = pa.list_(pa.int32())
_WORK = pa.schema([("row", pa.int64()), ("prompt", _IDS), ("titles", _IDS)])


@dataclass(frozen=True)
class Row:
    """One prompt with its candidates as token ids, and what the candidates' ids spell."""

    row: int
    prompt: Sequence[int]
    titles: Sequence[Sequence[int]]
    words: Sequence[str] = ()


class JobFolder:
    """The folder of one job.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as place:
        ...     job = JobFolder(Path(place))
        ...     job.create({"task": "score"}, [[5, 2], [6, 2]], [[(7, [1, 3, 3], [1, 0])]])
        ...     job.missing(), list(job.work(0)), job.settings()
        ([0], [Row(row=7, prompt=[1, 3, 3], titles=[[6, 2], [5, 2]], words=())], {'task': 'score', 'parts': 1})
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._titles: dict[str, list[Any]] | None = None

    def create(
        self,
        settings: Mapping[str, Any],
        titles: Sequence[Sequence[int]],
        parts: Iterable[Sequence[tuple[int, Sequence[int], Sequence[int]]]],
        words: Sequence[str] = (),
    ) -> None:
        """Writes the work: for each part a list of (row, prompt, numbers of titles); ``words``: what titles spell."""
        for name in ("work", "scores"):
            (self.path / name).mkdir(parents=True, exist_ok=True)
        columns = {"ids": pa.array([list(t) for t in titles], _IDS)}
        if words:
            columns["words"] = pa.array(words, pa.string())
        _write(pa.table(columns), self.path / "titles.parquet")
        count = 0
        for number, part in enumerate(parts):
            records = [[record[i] for record in part] for i in range(3)]
            table = pa.table([pa.array(c, f.type) for c, f in zip(records, _WORK, strict=True)], schema=_WORK)
            _write(table, self.path / "work" / _name(number))
            count += 1
        self.write_json("job.json", {**settings, "parts": count})

    def exists(self) -> bool:
        """Whether the job was written to its end."""
        return (self.path / "job.json").is_file()

    def settings(self) -> dict[str, Any]:
        """What ``job.json`` holds."""
        return self.read_json("job.json")

    def missing(self, share: tuple[int, int] = (0, 1)) -> list[int]:
        """Numbers of the parts that have no scores yet, of those that fall to process ``i`` of ``n``."""
        index, of = share
        mine = range(index, self.settings()["parts"], of)
        return [number for number in mine if not (self.path / "scores" / _name(number)).is_file()]

    def work(self, part: int) -> list[Row]:
        """The rows of a part."""
        if self._titles is None:
            self._titles = pq.read_table(self.path / "titles.parquet").to_pydict()
        ids, words = self._titles["ids"], self._titles.get("words")
        columns = pq.read_table(self.path / "work" / _name(part)).to_pydict()
        return [
            Row(row, prompt, [ids[n] for n in numbers], [words[n] for n in numbers] if words else ())
            for row, prompt, numbers in zip(columns["row"], columns["prompt"], columns["titles"], strict=True)
        ]

    def write_part(self, part: int, columns: Mapping[str, Sequence[Any]], facts: Mapping[str, str]) -> None:
        """Writes what came out of a part; ``facts`` go into the file's metadata."""
        table = pa.table(dict(columns)).replace_schema_metadata(dict(facts))
        _write(table, self.path / "scores" / _name(part))

    def part(self, part: int) -> tuple[dict[str, list[Any]], dict[str, str]]:
        """What came out of a part, as columns, and its facts."""
        table = pq.read_table(self.path / "scores" / _name(part))
        facts = {k.decode(): v.decode() for k, v in (table.schema.metadata or {}).items()}
        return table.to_pydict(), facts

    def read_json(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder."""
        found: dict[str, Any] = json.loads((self.path / name).read_text("utf-8"))
        return found

    def write_json(self, name: str, value: Mapping[str, Any]) -> None:
        """A JSON file of the folder, whole or not at all."""
        with _whole(self.path / name) as temporary:
            temporary.write_text(json.dumps(value), "utf-8")


def _name(part: int) -> str:
    return f"part-{part:05d}.parquet"


def _write(table: pa.Table, path: Path) -> None:
    with _whole(path) as temporary:
        pq.write_table(table, temporary)


@contextlib.contextmanager
def _whole(path: Path) -> Iterator[Path]:
    """A name to write to, renamed to ``path`` when the block ends well (polo's own writer is not to be had here)."""
    temporary = path.with_name(f".tmp-{os.getpid()}-{path.name}")
    try:
        yield temporary
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
