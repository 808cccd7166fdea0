"""An evaluation that goes on where it was killed: what a system scored is kept part by part until the results are out.

Knows rows and files; knows no metric. A part is believed only if it was made by the same scorer, with the same weights,
for the same rows and candidate lists, and is whole.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from accelerate import Accelerator
from accelerate.utils import broadcast_object_list

from polo.console import Console
from polo.data import FloatArray, IntArray, Rows
from polo.errors import PoloError
from polo.evaluate.found import measure_found
from polo.evaluate.whole import measure
from polo.model.scoring import CHUNK, completions
from polo.model.weights import digest, snapshot
from polo.protocols import Evaluator, FindsPlaces, Generates, InParts, Policy, RanksAll, Scorer
from polo.store.files import whole_file

#: rows of a part of completions; a text takes about as long as the scores of a list
TEXTS = CHUNK
#: rows of a part of rankings of the whole catalogue
WHOLE = 4 * CHUNK


class Parts:
    """Parts of one evaluation.

    Args:
        folder: where parts lie; made when the first one is written.
        scorer: what scores the candidate lists. One that is ``InParts`` is called for ``part_rows`` rows at a
            time, another one once (engines that take long to start keep parts of their own).
        facts: what else determines the scores, as JSON values: the scorer's options.
        accelerator: the first process reads and writes.
        console: shows which system is scored, and says which parts are not believed.
    """

    def __init__(
        self, folder: Path, scorer: Scorer, facts: Mapping[str, Any], accelerator: Accelerator, console: Console
    ) -> None:
        self._folder, self._scorer, self._facts = folder, scorer, facts
        self._accelerator, self._console = accelerator, console

    def scores(self, name: str, policy: Policy, rows: Rows) -> tuple[FloatArray, IntArray]:
        """Scores and tokens ``[N, n]`` of the rows' candidate lists under the system ``name``, on every process."""

        def make(part: Rows) -> pa.Table:
            if part.candidates is None:
                raise PoloError("rows without candidate lists cannot be scored")
            scores, tokens = self._scorer.score(policy, part, part.listed)
            return pa.table({"scores": list(scores), "tokens": list(tokens)})

        size = self._scorer.part_rows if isinstance(self._scorer, InParts) else len(rows)
        table = self._table(f"{name}-scores", policy, rows, size, make)
        scores, tokens = (np.stack(list(table[column].to_numpy())) for column in ("scores", "tokens"))
        return scores, tokens

    def completions(self, name: str, policy: Policy, rows: Rows) -> list[str]:
        """Greedy completions of the rows' prompts under the system ``name``, on every process.

        By the scorer, where it writes completions too (all at once, as it keeps parts of its own), else by the policy.
        """
        scorer = self._scorer

        def make(part: Rows) -> pa.Table:
            texts = scorer.generate(policy, part) if isinstance(scorer, Generates) else completions(policy, part)
            return pa.table({"text": pa.array(texts, pa.string())})

        size = len(rows) if isinstance(scorer, Generates) else TEXTS
        return [str(text) for text in self._table(f"{name}-text", policy, rows, size, make)["text"].to_pylist()]

    def kept(self, name: str, policy: Policy, rows: Rows, evaluators: Sequence[Evaluator]) -> pa.Table:
        """What is kept of rankings of the whole catalogue under the system ``name``, on every process."""
        scorer = self._scorer
        if isinstance(scorer, FindsPlaces):
            find, exact = scorer.finder(policy), scorer.deepest is None
            return self._table(
                f"{name}-found", policy, rows, WHOLE, lambda part: measure_found(part, evaluators, find, exact=exact)
            )
        if not isinstance(scorer, RanksAll):
            raise PoloError(f"{type(scorer).__name__} does not rank the whole catalogue")
        every = scorer.every(policy)
        return self._table(f"{name}-whole", policy, rows, WHOLE, lambda part: measure(part, evaluators, every))

    def remove(self) -> None:
        """Forgets all parts; called when the results are written."""
        if self._accelerator.is_main_process:
            shutil.rmtree(self._folder, ignore_errors=True)

    def _table(self, name: str, policy: Policy, rows: Rows, size: int, make: Callable[[Rows], pa.Table]) -> pa.Table:
        key = self._key(name, policy, rows, size)
        starts = range(0, len(rows), max(1, size))
        main = self._accelerator.is_main_process
        read = {start: self._read(name, start, key) for start in starts} if main else {}
        tables = self._agreed({start: table for start, table in read.items() if table is not None})
        if tables:
            self._console.detail(f"{name}: {len(tables)} of {len(starts)} parts are there from an earlier start")
        for start in self._console.track(starts, label=name) if len(starts) > 1 else starts:
            if start not in tables:
                tables[start] = make(rows[start : start + size])
                if main:
                    self._write(tables[start], self._path(name, start), key)
        return pa.concat_tables([tables[start] for start in starts])

    def _key(self, name: str, policy: Policy, rows: Rows, size: int) -> str:
        sha = hashlib.sha256()
        weights = digest(snapshot(policy.module))
        sha.update(json.dumps([name, size, self._facts, policy.fingerprint(), weights], sort_keys=True).encode())
        left = (None, None) if rows.whole is None else (rows.whole.without.items, rows.whole.without.offsets)
        right = (None, None) if rows.relevant is None else (rows.relevant.items, rows.relevant.offsets)
        for column in (rows.id, rows.user, rows.target, rows.history, rows.candidates, *left, *right):
            sha.update(b"" if column is None else np.ascontiguousarray(column).tobytes())
        return sha.hexdigest()

    def _agreed(self, tables: dict[int, pa.Table]) -> dict[int, pa.Table]:
        """What the first process found, on every process: all must score the same parts together."""
        if self._accelerator.num_processes == 1:
            return tables
        box = [tables]
        broadcast_object_list(box)
        return box[0]

    def _path(self, name: str, start: int) -> Path:
        return self._folder / f"{name}-{start}.parquet"

    def _read(self, name: str, start: int, key: str) -> pa.Table | None:
        path = self._path(name, start)
        if not path.is_file():
            return None
        try:
            with pq.ParquetFile(path, page_checksum_verification=True) as file:
                if (file.schema_arrow.metadata or {}).get(b"key") != key.encode():
                    self._console.say(f"{path} is of another evaluation; scoring again")
                    return None
                return file.read().replace_schema_metadata(None)
        except (OSError, ValueError) as error:  # pyarrow's own errors are both
            self._console.say(f"{path} cannot be read ({error}); scoring again")
            return None

    @staticmethod
    def _write(table: pa.Table, path: Path, key: str) -> None:
        with whole_file(path) as temporary:
            pq.write_table(table.replace_schema_metadata({"key": key}), temporary, write_page_checksum=True)
