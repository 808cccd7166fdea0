"""What the study of collapse says of figures whose meaning is known: it falls, it is prevented, or nothing can be said.

400 users with one row each; a difference of 0.2 in HR@1 is far outside, one of 0 far inside the interval.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

# last, and out again: a benchmark there has the name of the library that it is about
sys.path.append(str(Path(__file__).resolve().parents[2] / "benchmarks"))

from collapse_study.figure import draw
from collapse_study.summary import Group
from collapse_study.words import conclusions, table

sys.path.pop()

USERS = 400


def group(out: Path, variant: str, k: int, hits: float, seeds: tuple[int, ...] = (0, 1)) -> Group:
    """A group whose seeds all hit the first ``hits`` of the users; SFT hits half of them."""
    records = []
    for seed in seeds:
        run = f"{variant}-{k}-{seed}"
        folder = out / run / "eval"
        folder.mkdir(parents=True)
        users = np.arange(USERS)
        columns = {"row": users, "user": users, "model/hit_ratio@1": (users < hits * USERS).astype(float),
                   "sft/hit_ratio@1": (users < USERS / 2).astype(float)}  # fmt: skip
        pq.write_table(pa.table(columns), folder / "per_row.parquet")
        gradient = {"boundary_share": 0.6, "boundary_negatives": 0.2, "boundary_gradient": 0.1,
                    "boundary_each": 0.3, "easy_each": 0.05}  # fmt: skip
        records.append({
            "seed": seed, "run": run, "gradient_start": gradient, "gradient_end": gradient, "kept": 1.0,
            "mean_beta": 1.0, "final_loss": 0.5, "valid": [{"valid/preference_accuracy": 0.8}] * 2,
            "model/ndcg@10": {"value": 0.5},
            "sft/hit_ratio@1": {"value": 0.5},
        })  # fmt: skip
    return Group("toy", "dmpo", variant, k, out, tuple(records))


def said(out: Path, plain: tuple[float, float], dynamic: tuple[float, float]) -> str:
    """The paragraph for HR@1 at k = 1 and 19, plain and dynamic."""
    pairs = {"plain": plain, "dynamic": dynamic}
    groups = [group(out, name, k, hit) for name, both in pairs.items() for k, hit in zip((1, 19), both, strict=True)]
    return conclusions(groups)[0]


@pytest.mark.parametrize(
    ("plain", "dynamic", "trend", "verdict"),
    [
        ((0.6, 0.4), (0.6, 0.6), "Plain, HR@1 falls", "consistent with DynamicPO preventing it"),
        ((0.6, 0.4), (0.7, 0.5), "Plain, HR@1 falls", "softens the fall and does not remove it"),
        ((0.6, 0.4), (0.6, 0.4), "Plain, HR@1 falls", "does not measurably prevent it"),
        ((0.5, 0.5), (0.5, 0.5), "does not change measurably", "to prevent; DynamicPO makes no measurable difference"),
        ((0.4, 0.6), (0.4, 0.4), "Plain, HR@1 rises", "no measurable fall to prevent; DynamicPO is worse there"),
        ((0.5, 0.5), (0.5, 0.7), "does not change measurably", "fall to prevent; DynamicPO is better there"),
    ],
)  # fmt: skip
def test_the_verdict_follows_the_intervals(
    tmp_path: Path, plain: tuple[float, float], dynamic: tuple[float, float], trend: str, verdict: str
) -> None:
    words = said(tmp_path, plain, dynamic)
    assert trend in words
    assert verdict in words


def test_side_of_the_sft_stage_and_gradient_shares_are_told(tmp_path: Path) -> None:
    words = said(tmp_path, (0.5, 0.3), (0.5, 0.5))
    assert "Plain at k = 19 is below the SFT stage: -0.2000 [-0." in words
    assert "boundary negatives are 0.20 of all negatives at the start and get 0.60 of the gradient" in words


def test_seeds_that_are_not_shared_give_no_difference(tmp_path: Path) -> None:
    groups = [group(tmp_path, "plain", 1, 0.5, (0,)), group(tmp_path, "plain", 19, 0.3, (1,))]
    assert "k = 1 and k = 19 share no seed" in conclusions(groups)[0]


def test_the_table_has_a_line_for_each_group_with_its_figures(tmp_path: Path) -> None:
    lines = table([group(tmp_path, "plain", 1, 0.5), group(tmp_path, "dynamic", 1, 0.75)]).splitlines()
    assert len(lines) == 4
    assert "0.5000 [0." in lines[2]
    assert "+0.2500 [+0." in lines[3]
    assert all(line.count("|") == lines[0].count("|") for line in lines)


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    groups: list[Any] = [
        group(tmp_path, v, k, h) for v, k, h in (("plain", 1, 0.5), ("plain", 19, 0.3), ("dynamic", 1, 0.5))
    ]
    svg, png = draw(groups, tmp_path)
    assert svg.read_text().count("<path") > 20
    assert png.read_bytes().startswith(b"\x89PNG")
