"""A run on interactions that lie on the disk: weights and figures of the same run in memory, and nothing gathered."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from polo import LazyRows
from tests.run.toy import Main, metrics

RECIPE = """\
polo: 1
name: wide
data: {use: rows, form: interactions, name: wide, interactions: events.parquet, items: items.csv, history: 6}
candidates: {n: %(lists)s}
policy: {use: %(policy)s, dim: 8}
reference: none
stages:
  prefer:
    sampler: {use: uniform, k: 4}
    loss: softmax
    epochs: 2
    lr: 1e-2
    batch: 64
    validate: {rows: 20, every: 20}
evaluate: {evaluators: [{use: hit_ratio, k: [1, 5]}], baselines: [popularity], rows: 30}
"""


@pytest.fixture
def events(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """60 users, 40 items, 900 events in no order, some of them twice; the current folder is theirs."""
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(0)
    table = {"user": rng.integers(0, 60, 900), "item": rng.integers(0, 40, 900), "timestamp": rng.integers(0, 99, 900)}
    parquet.write_table(pa.table(table), "events.parquet")
    Path("items.csv").write_text("\n".join(["item,title", *(f"{i},Title {i}" for i in range(40))]))


def gathered(rows: LazyRows) -> None:
    raise AssertionError(f"{len(rows)} training rows were gathered")


@pytest.mark.parametrize(("policy", "lists"), [("mf", "all"), ("sasrec, layers: 1, heads: 1", "10")])
@pytest.mark.usefixtures("events")
def test_rows_on_the_disk_train_the_same_weights(
    polo: Main, monkeypatch: pytest.MonkeyPatch, policy: str, lists: str
) -> None:
    found = []
    for mapped in (False, True):
        if mapped:  # whole columns of the training rows, which grow with them, are asked for by nobody
            columns = {name: vars(LazyRows)[name].fget for name in ("id", "user", "target", "history")}
            for name, get in columns.items():
                monkeypatch.setattr(
                    LazyRows, name, property(lambda rows, get=get: gathered(rows) if rows.first_id == 0 else get(rows))
                )
        Path("wide.yaml").write_text(RECIPE % {"policy": policy, "lists": lists})
        cache = Path(f"cache-{mapped}").absolute()
        monkeypatch.setenv("POLO_CACHE", str(cache))
        code, out, err = polo("run", "wide.yaml", f"out=runs-{mapped}", f"data.mapped={str(mapped).lower()}")
        assert code == 0, err
        folder = Path(out.strip().splitlines()[-1])
        results = json.loads((folder / "results.json").read_text())
        weights = (folder / "final" / "policy.safetensors").read_bytes()
        protocol = {**results["protocol"]}
        found.append((weights, metrics(folder), results["systems"], protocol))
        if mapped:
            assert [path.name[:3] for path in (cache / "columns").iterdir()] != []
    assert found[0] == found[1]
