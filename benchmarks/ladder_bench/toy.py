"""A world in small, in the files that the recipes read, under the names of the real ones. Knows no run."""

from __future__ import annotations

import csv
import gzip
import io
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np

from ladder_bench.cells import TEXTS

USERS, ITEMS, WIDE = 40, 30, 8


def make_toy(folder: Path) -> Path:
    """Writes both data sets and the vectors of their texts; returns the vectors' folder and points $POLO_DATA at it."""
    rng = np.random.default_rng(0)
    taken = [rng.choice(ITEMS, size=8, replace=False).tolist() for _ in range(USERS)]
    titles = [
        {"item": item, "title": f"kind {item % 5} number {item}", "genres": f"kind {item % 5}"} for item in range(ITEMS)
    ]
    beauty, films, vectors = (folder / name for name in ("amazon-beauty-2014", "ml-1m", "vectors"))
    for place in (beauty, films, vectors):
        place.mkdir(parents=True)
    for place in (beauty, films):
        _table(place / "items.csv.gz", titles)
    _lines(beauty / "sequences.jsonl.gz", ({"user": user, "items": items} for user, items in enumerate(taken)))
    _lines(films / "item_llm_text.jsonl.gz", ({"item": line["item"], "text": line["title"]} for line in titles))
    for name, part in (("train", slice(0, 6)), ("test", slice(6, 8))):
        events = [{"user": user, "item": item} for user, items in enumerate(taken) for item in items[part]]
        _table(films / f"{name}.csv.gz", events)
    for place in (beauty, films):
        for text in TEXTS:
            np.save(vectors / f"{place.name}-{text}.npy", rng.normal(size=(ITEMS, WIDE)).astype(np.float16))
            (vectors / f"{place.name}-{text}.ids").write_text("\n".join(map(str, range(ITEMS))))
    os.environ["POLO_DATA"] = str(folder)
    return vectors


def _lines(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    path.write_bytes(gzip.compress("".join(json.dumps(record) + "\n" for record in records).encode()))


def _table(path: Path, records: Iterable[Mapping[str, object]]) -> None:
    lines, text = list(records), io.StringIO()
    writer = csv.DictWriter(text, list(lines[0]))
    writer.writeheader()
    writer.writerows(lines)
    path.write_bytes(gzip.compress(text.getvalue().encode()))
