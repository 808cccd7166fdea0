"""Runs one cell, and what is kept of it: figures of its vectors and losses, and each row's metrics. No statistics."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from ladder_bench.cells import Cell, Size, overrides
from polo import FloatArray, IntArray, Rows, Splits
from polo.plugin.load import Plugins
from polo.recipe import load
from polo.report.diagnosis import final_loss
from polo.run.diagnose import condition, embedding, losses, sample
from polo.run.prepare import Prepared
from polo.run.run import Run
from polo.store.runfolder import RunFolder

#: cuts of metrics
CUTS = (10, 20)
#: points of a loss curve that are kept
_POINTS = 40


class Once(Run):
    """A run whose data is read once, for a look before it as for the run itself."""

    _ready: Prepared | None = None

    def prepare(self, run: RunFolder | None = None) -> Prepared:
        if self._ready is None:
            self._ready = super().prepare(run)
        return self._ready


@dataclass(frozen=True)
class Setting:
    """What all cells of a process share.

    Args:
        sizes: by data set.
        recipes: by data set, the file.
        vectors: folder of the texts' vectors.
        device: ``cpu`` or ``cuda``.
        scratch: folder for what is thrown away.
    """

    sizes: Mapping[str, Size]
    recipes: Mapping[str, Path]
    vectors: Path
    device: str
    scratch: Path


def run(cell: Cell, setting: Setting, plugins: Plugins) -> dict[str, Any]:
    """The cell's figures, and under ``rows`` an array for each metric.

    ``recall@10`` and the like are of all rows; with ``cold/`` before them, of those that have a relevant cold item, and
    nothing but cold items counts as relevant.
    """
    began, size = time.monotonic(), setting.sizes[cell.data]
    place = Path(tempfile.mkdtemp(dir=setting.scratch))
    try:
        words = [*overrides(cell, size, setting.vectors, setting.device), f'out="{place}"']
        resolved = load(setting.recipes[cell.data], overrides=words, profile="none", plugins=plugins,
                        gpu=setting.device == "cuda")  # fmt: skip
        job = Once(resolved, plugins)
        policy, ready = job.opened(None)
        embeds, rows = embedding(policy), sample(ready.test)
        start = condition(embeds, rows)
        folder, _ = job.execute()
        last = list(job.recipe.stages)[-1]
        policy.load(folder.stage(last) / "policy")
        curve = losses(folder, job.resolved)[last]
        return {
            **asdict(cell),
            "loss": final_loss(curve),
            "curve": [[step, round(loss, 4)] for step, loss in curve[:: max(1, len(curve) // _POINTS)]],
            "kappa": {"start": start, "end": condition(embeds, rows)},
            "seconds": round(time.monotonic() - began, 1),
            "rows": {**_warm(folder), **_cold(folder, ready, size.cold)},
        }
    finally:
        shutil.rmtree(place, ignore_errors=True)


def _warm(folder: RunFolder) -> dict[str, Any]:
    table = pq.read_table(folder.path / "eval" / "per_row.parquet")
    metrics = [f"{name}@{k}" for name in ("recall", "ndcg") for k in CUTS]
    return {"user": table["user"].to_numpy(), **{name: table[f"model/{name}"].to_numpy() for name in metrics}}


def _cold(folder: RunFolder, ready: Prepared, most: int) -> dict[str, Any]:
    best = pq.read_table(folder.path / "eval" / "scores-model.parquet")["items"].to_pylist()
    of, wanted = cold_sets(ready.test, ready.splits, most)
    return {"cold/user": ready.test.user[of], **cold_metrics([best[row] for row in of], wanted)}


def cold_sets(rows: Rows, splits: Splits, most: int) -> tuple[IntArray, list[set[int]]]:
    """Rows that have a relevant item of at most ``most`` training interactions, and each one's such items."""
    few = np.bincount(splits.sequences.items, minlength=len(splits.items)) <= most
    if rows.relevant is None:
        sets = [{item} if few[item] else set() for item in rows.target.tolist()]
    else:
        lists = np.split(rows.relevant.items, rows.relevant.offsets[1:-1])
        sets = [set(one[few[one]].tolist()) for one in lists]
    of = np.array([row for row, items in enumerate(sets) if items], np.int64)
    return of, [sets[row] for row in of]


def cold_metrics(best: Sequence[Sequence[int]], wanted: Sequence[set[int]]) -> dict[str, FloatArray]:
    """Recall and NDCG of each row's best items, where the wanted ones alone are relevant."""
    weight = 1 / np.log2(np.arange(max(CUTS)) + 2)
    hits = np.zeros((len(best), max(CUTS)))
    for row, (items, some) in enumerate(zip(best, wanted, strict=True)):
        found = [item in some for item in items[: max(CUTS)]]
        hits[row, : len(found)] = found
    many = np.array([len(some) for some in wanted], np.int64)
    ideal = np.concatenate([[0.0], np.cumsum(weight)])
    figures = {f"recall@{k}": hits[:, :k].sum(axis=1) / many for k in CUTS}
    figures |= {f"ndcg@{k}": (hits[:, :k] * weight[:k]).sum(axis=1) / ideal[np.minimum(many, k)] for k in CUTS}
    return {f"cold/{name}": column for name, column in figures.items()}
