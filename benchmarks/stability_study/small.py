"""A small set cut from a large one: some users, drawn by a seed, and the items that they took. Knows files only."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import numpy as np

#: events that a user spends before the first training row: a history of one, and the targets of validation and test
BEFORE = 3


def cut(source: Path, target: Path, rows: int, seed: int = 0) -> Path:
    """Copies users of ``source`` (files of the source ``sequences``) until they have ``rows`` training rows.

    Args:
        source: folder with ``sequences.jsonl.gz`` and ``items.csv.gz``.
        target: folder to write; there may be one already, of the same cut.
        rows: training rows at a shortest history of one item.
        seed: of the draw of users.
    """
    with gzip.open(source / "sequences.jsonl.gz", "rt", encoding="utf-8") as file:
        lines = [json.loads(line) for line in file]
    kept, have = [], 0
    for i in np.random.default_rng(seed).permutation(len(lines)):
        if have >= rows:
            break
        kept.append(int(i))
        have += max(0, len(lines[i]["items"]) - BEFORE)
    target.mkdir(parents=True, exist_ok=True)
    with gzip.open(target / "sequences.jsonl.gz", "wt", encoding="utf-8") as file:
        file.writelines(json.dumps(lines[i]) + "\n" for i in sorted(kept))
    (target / "items.csv.gz").write_bytes((source / "items.csv.gz").read_bytes())
    return target
