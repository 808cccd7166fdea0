"""The ladder's benchmark at toy size: cells are run, kept, skipped and told; what is cold is counted apart."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest

from polo import Ragged, Rows
from polo.plugin.load import load_plugins
from polo.recipe import load
from polo.testing import small_splits

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"
sys.path.insert(0, str(BENCHMARKS))
try:
    from ladder_bench.cells import BACKBONES, DATA, RUNGS, Cell, Size, cells, overrides
    from ladder_bench.kept import Kept
    from ladder_bench.running import cold_metrics, cold_sets
    from ladder_bench.tables import tables
finally:
    sys.path.remove(str(BENCHMARKS))

METRICS = ("recall@10", "recall@20", "ndcg@10", "ndcg@20")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name != "POLO_DATA"}
    return subprocess.run(
        [sys.executable, str(BENCHMARKS / "ladder.py"), *arguments],
        capture_output=True, text=True, check=False, env=clean,
    )  # fmt: skip


def test_cells_are_run_once_and_told_in_a_table(tmp_path: Path) -> None:
    out = tmp_path / "ladder.json"
    words = [
        "--toy",
        "--out",
        str(out),
        "--data",
        "ml-1m",
        "--backbones",
        "gru4rec",
        "--vectors",
        "lsa",
        "--seeds",
        "0",
    ]
    ended = run(*words, "--rungs", "random", "rec_pca + norm")
    assert ended.returncode == 0, ended.stderr
    first = json.loads(out.read_text())["cells"]
    assert list(first) == ["ml-1m/gru4rec/none/none/random/0", "ml-1m/gru4rec/lsa/adapter/rec_pca + norm/0"]
    for cell in first.values():
        assert cell["loss"] > 0
        assert cell["kappa"]["end"] >= 1
    assert "**ml-1m, gru4rec, lsa, adapter**" in ended.stdout
    assert "| rec_pca + norm | " in ended.stdout
    again = run(*words, "--rungs", "random", "rec_pca + norm", "raw")
    assert again.returncode == 0, again.stderr
    then = json.loads(out.read_text())["cells"]
    assert {key: then[key] for key in first} == first  # nothing was run again: seconds are the same
    assert len(then) == 3


def test_when_the_time_is_up_nothing_is_lost_and_nothing_fails(tmp_path: Path) -> None:
    ended = run("--toy", "--out", str(tmp_path / "ladder.json"), "--seconds", "0.01")
    assert ended.returncode == 0, ended.stderr
    assert "0 of " in ended.stdout


def test_a_file_of_other_settings_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "ladder.json"
    out.write_text('{"settings": {"epochs": 1}, "cells": {}}')
    ended = run("--toy", "--out", str(out))
    assert ended.returncode == 2
    assert "other settings" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_every_rung_comes_for_each_text_but_random_vectors_once() -> None:
    found = list(cells(["ml-1m"], ["sasrec"], ["lsa", "minilm"], ["adapter", "start"], list(RUNGS), [0]))
    assert len({cell.key for cell in found}) == len(found)
    assert [cell.rung for cell in found].count("random") == 1
    assert [cell.rung for cell in found].count("raw") == 2  # of both texts, behind an adapter
    assert [cell.rung for cell in found].count("pca") == 4


@pytest.mark.parametrize("data", list(DATA))
@pytest.mark.parametrize("backbone", list(BACKBONES))
def test_a_cell_has_the_encoder_of_its_rung_whatever_its_recipe_has(data: str, backbone: str, tmp_path: Path) -> None:
    plugins, found = load_plugins(), {}
    for rung in RUNGS:
        cell = Cell(data, backbone, "lsa", "adapter", rung, 3)
        words = overrides(cell, Size(epochs=1, batch=2, lr=0.1, cold=1), tmp_path, "cpu")
        recipe = load(DATA[data], overrides=words, profile="none", plugins=plugins, gpu=False).recipe
        assert (recipe.policy.name, recipe.seed) == (backbone, 3)
        found[rung], encoder = [], recipe.policy.options.items.encoder
        while encoder is not None:
            found[rung].append(encoder.name)
            encoder = getattr(encoder.options, "from_", None)
    assert found == {
        "random": [],
        "raw": ["file"],
        "pca": ["pca", "file"],
        "pca + norm": ["norm", "pca", "file"],
        "whiten": ["whiten", "file"],
        "rec_pca": ["rec_pca", "file"],
        "rec_pca + norm": ["norm", "rec_pca", "file"],
    }


def test_cold_items_are_those_that_training_holds_seldom() -> None:
    splits = small_splits(users=3, items=20)
    counts = np.bincount(splits.sequences.items, minlength=20)
    rows = splits.test
    of, wanted = cold_sets(rows, splits, 0)
    assert of.tolist() == [row for row, item in enumerate(rows.target.tolist()) if counts[item] == 0]
    assert wanted == [{int(rows.target[row])} for row in of]
    seldom, often = int(counts.argmin()), int(counts.argmax())
    sets = Rows(rows.id[:2], rows.user[:2], rows.history[:2], np.array([often, often]),
                relevant=Ragged.of([[often, seldom], [often]]))  # fmt: skip
    of, wanted = cold_sets(sets, splits, int(counts[seldom]))
    assert (of.tolist(), wanted) == ([0], [{seldom}])


def test_cold_metrics_count_cold_items_alone() -> None:
    """Item 7 at the second place, item 8 not among the best: recall 1 of 2, DCG 1 / log2(3), ideal 1 + 1 / log2(3)."""
    found = cold_metrics([[5, 7, 6]], [{7, 8}])
    assert found["cold/recall@10"].tolist() == [0.5]
    assert found["cold/ndcg@10"] == pytest.approx([1 / np.log2(3) / (1 + 1 / np.log2(3))])


def test_a_table_has_means_over_seeds_and_differences_from_random_vectors(tmp_path: Path) -> None:
    kept = Kept(tmp_path / "f.json", {})
    for seed in (0, 1):
        for rung, gain in (("random", 0.25), ("pca", 0.5)):
            text = "none" if rung == "random" else "lsa"
            columns = {
                name: np.full(4, gain + 0.25 * seed) for name in ("recall@10", "recall@20", "ndcg@10", "ndcg@20")
            }
            rows = {"user": np.arange(4), **columns, "cold/user": np.arange(0),
                    **{f"cold/{name}": np.zeros(0) for name in columns}}  # fmt: skip
            cell = Cell("ml-1m", "sasrec", text, "none" if rung == "random" else "start", rung, seed)
            kappa = {"start": 10.0, "end": 10.0**seed}
            kept.add(cell, {**asdict(cell), "kappa": kappa, "loss": 2.0 - gain, "rows": rows})
    (told,) = tables(kept.cells, Kept(tmp_path / "f.json", None).rows)
    (line,) = [line for line in told.splitlines() if line.startswith("| pca ")]
    same = "0.6250 [0.6250, 0.6250]"
    of = ["pca", "1.500", "10", "3.16", same, same, same, same, "+0.2500 [+0.2500, +0.2500]", "none", "none", "2"]
    assert line == f"| {' | '.join(of)} |"
    assert "NDCG@10 rises at 1 of 1 steps" in told
