"""From the records of finished cells to groups, differences and their intervals. Knows no training.

The interval of a mean over seeds: each test row's value is first averaged over the seeds, then users are drawn with
replacement. It says how much the figure depends on which users were tested; how much it depends on the seed is said by
the seeds' own values beside it.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from polo import FloatArray
from polo.evaluate.significance import Paired, interval, paired

Record = Mapping[str, Any]
HIT = "hit_ratio@1"


@dataclass(frozen=True)
class Group:
    """The cells of one (data, objective, variant, k): one per seed."""

    data: str
    objective: str
    variant: str
    k: int
    out: Path
    records: tuple[Record, ...]

    @property
    def seeds(self) -> tuple[int, ...]:
        return tuple(record["seed"] for record in self.records)

    def mean(self, *path: str | int) -> float | None:
        """Mean over seeds of a figure of the records; ``None`` if no seed has it."""
        found = [value for record in self.records if (value := _at(record, path)) is not None]
        return float(np.mean(found)) if found else None

    @cached_property
    def tables(self) -> Mapping[int, Mapping[str, FloatArray]]:
        """Per-row values of every seed, by seed."""
        names = ["row", "user", f"model/{HIT}", f"sft/{HIT}"]
        read = {r["seed"]: pq.read_table(self.out / r["run"] / "eval" / "per_row.parquet", columns=names)
                for r in self.records}  # fmt: skip
        return {seed: {name: table[name].to_numpy() for name in names} for seed, table in read.items()}

    def rows(self, seeds: Sequence[int], system: str = "model") -> tuple[FloatArray, FloatArray]:
        """Hit at 1 of each test row, mean over ``seeds``, and its user.

        Raises:
            ValueError: the seeds were tested on different rows.
        """
        first = self.tables[seeds[0]]
        if not all(np.array_equal(first["row"], self.tables[seed]["row"]) for seed in seeds):
            raise ValueError(f"{self.data}: seeds were tested on different rows; do without --rows")
        hits = np.mean([self.tables[seed][f"{system}/{HIT}"] for seed in seeds], axis=0)
        return hits, first["user"]

    @cached_property
    def hit(self) -> tuple[float, float, float]:
        """HR@1 over all seeds, with its interval."""
        return interval(*self.rows(self.seeds))

    @property
    def by_seed(self) -> list[float]:
        return [float(self.tables[seed][f"model/{HIT}"].mean()) for seed in self.seeds]

    @cached_property
    def over_sft(self) -> Paired:
        """HR@1 minus that of the SFT stage it started from."""
        values, users = self.rows(self.seeds)
        return paired(values, self.rows(self.seeds, "sft")[0], users)


@dataclass(frozen=True)
class Difference:
    """HR@1 of a minus that of b on the same rows, over the seeds that both have."""

    a: Group
    b: Group
    test: Paired
    by_seed: tuple[float, ...]

    @property
    def verdict(self) -> int:
        """1 or -1 where the interval leaves 0 out, else 0."""
        return int(self.test.low > 0) - int(self.test.high < 0)


def difference(a: Group, b: Group) -> Difference | None:
    """``None`` where the two have no seed in common."""
    seeds = [seed for seed in a.seeds if seed in b.seeds]
    if not seeds:
        return None
    x, users = a.rows(seeds)
    y, _ = b.rows(seeds)
    own = [float(a.rows([seed])[0].mean() - b.rows([seed])[0].mean()) for seed in seeds]
    return Difference(a, b, paired(x, y, users), tuple(own))


def read(out: Path) -> list[Group]:
    """All finished cells of an output folder, in groups.

    Raises:
        ValueError: cells of one data set were evaluated under different protocols.
    """
    by: dict[tuple[str, str, str, int], list[Record]] = defaultdict(list)
    protocols: dict[str, set[str]] = defaultdict(set)
    for path in sorted((out / "cells").glob("*.json")):
        record = json.loads(path.read_text("utf-8"))
        by[record["data"], record["objective"], record["variant"], record["k"]].append(record)
        protocols[record["data"]].add(record["protocol"])
    for data, hashes in protocols.items():
        if len(hashes) > 1:
            raise ValueError(f"{data}: cells under {len(hashes)} protocols cannot be compared; use another --out")
    order = {"plain": 0, "dynamic": 1}
    return [
        Group(*key, out=out, records=tuple(sorted(found, key=lambda r: r["seed"])))
        for key, found in sorted(by.items(), key=lambda item: (*item[0][:2], order[item[0][2]], item[0][3]))
    ]


def _at(record: Any, path: Sequence[str | int]) -> float | None:
    """``record[a][b]...``, or ``None`` where something on the way is ``None``."""
    for step in path:
        if record is None:
            return None
        record = record[step]
    return None if record is None else float(record)
