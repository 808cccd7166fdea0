"""Exact clustering on a line, against brute force over all partitions."""

from __future__ import annotations

from fractions import Fraction
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo_dynamicpo.clustering import top_cluster

QUICK = settings(max_examples=80, deadline=None)

#: dyadic, so that sums and differences are exact and ties are true ties
VALUES = st.integers(-64, 64).map(lambda i: i / 8)
#: no two gaps alike: continuous values without ties of gain
SPREAD = st.floats(-50, 0, allow_nan=False, width=64)


def sse(values: np.ndarray) -> float:
    return float(((values - values.mean()) ** 2).sum())


def brute_force(values: list[float], clusters: int) -> tuple[float, set[float]]:
    """Least within-cluster sum of squares over all ways to cut the distinct values, and the best top group.

    Ties (within 1e-9) go to the smallest top cluster.
    """
    x = np.sort(np.asarray(values, dtype=np.float64))
    distinct = np.unique(x)
    if len(distinct) <= clusters:
        return 0.0, {float(distinct[-1])}
    found = []
    for cuts in combinations(range(1, len(distinct)), clusters - 1):
        groups = np.split(distinct, cuts)
        total = sum(sse(x[np.isin(x, group)]) for group in groups)
        found.append((total, int(np.isin(x, groups[-1]).sum()), {float(v) for v in groups[-1]}))
    best = min(total for total, _, _ in found)
    _, _, top = min((f for f in found if f[0] <= best + 1e-9), key=lambda f: f[1])
    return best, top


def members(values: list[float], clusters: int = 3) -> list[bool]:
    x = torch.tensor([values], dtype=torch.float64)
    return top_cluster(x, torch.ones_like(x, dtype=torch.bool), clusters)[0].tolist()


@given(st.lists(VALUES, min_size=1, max_size=9), st.integers(2, 4))
@QUICK
def test_equals_brute_force_with_ties_and_duplicates(values: list[float], clusters: int) -> None:
    _, top = brute_force(values, clusters)
    assert members(values, clusters) == [v in top for v in values]


@given(st.lists(SPREAD, min_size=1, max_size=9))
@QUICK
def test_is_as_good_as_the_best_partition(values: list[float]) -> None:
    """The kept group, with the best split of the rest in two, reaches the least sum of squares."""
    best, _ = brute_force(values, 3)
    x, top = np.asarray(values), np.asarray(members(values))
    rest = np.unique(x[~top])
    if len(np.unique(x)) <= 3:
        assert set(x[top]) == {x.max()}
        return
    splits = [sse(x[~top & (x <= cut)]) + sse(x[~top & (x > cut)]) for cut in rest[:-1]]
    assert sse(x[top]) + min(splits) <= best + 1e-9 * max(1.0, best)


@given(
    st.lists(st.integers(-64, 0), min_size=4, max_size=8, unique=True),
    st.lists(st.tuples(st.sampled_from([-1, 1]), st.integers(20, 50)), min_size=1, max_size=2, unique=True),
)
@settings(max_examples=100)
def test_law_outliers_of_any_size_do_not_blur_the_others(values: list[int], far: list[tuple[int, int]]) -> None:
    """Whole numbers and powers of two, judged in exact fractions over all partitions."""
    x = sorted([*values, *(sign * 2**power for sign, power in far)])
    cost = {}
    for cuts in combinations(range(1, len(x)), 2):
        groups = [x[low:high] for low, high in zip((0, *cuts), (*cuts, len(x)), strict=True)]
        cost[cuts[-1]] = min(
            cost.get(cuts[-1], Fraction(2**200)),
            sum((sum((Fraction(v) - Fraction(sum(g), len(g))) ** 2 for v in g) for g in groups), Fraction(0)),
        )
    best = min(cost.values())
    top = x[max(cut for cut, total in cost.items() if total <= best * (1 + Fraction(1, 10**12))) :]
    assert members([float(v) for v in x]) == [v in top for v in x]


@given(
    st.lists(VALUES, min_size=1, max_size=20).flatmap(lambda v: st.tuples(st.just(v), st.permutations(range(len(v)))))
)
@QUICK
def test_order_of_the_negatives_plays_no_part(case: tuple[list[float], list[int]]) -> None:
    values, order = case
    assert members([values[i] for i in order]) == [members(values)[i] for i in order]


@given(st.lists(st.floats(-100, 0, width=32), min_size=1, max_size=20))
@QUICK
def test_the_top_cluster_is_an_upper_set_that_keeps_equal_values_together(values: list[float]) -> None:
    top = members(values)
    kept = [v for v, t in zip(values, top, strict=True) if t]
    left = [v for v, t in zip(values, top, strict=True) if not t]
    assert kept
    assert not left or min(kept) > max(left)


@given(st.lists(VALUES, min_size=1, max_size=12), VALUES, st.sampled_from([0.25, 2.0, 1024.0]))
@QUICK
def test_shift_and_scale_change_nothing(values: list[float], shift: float, scale: float) -> None:
    assert members([v * scale + shift for v in values]) == members(values)


@given(st.lists(st.lists(VALUES, min_size=0, max_size=8), min_size=1, max_size=5), st.floats(allow_nan=True))
@QUICK
def test_ragged_rows_and_what_stands_in_invalid_places_play_no_part(rows: list[list[float]], junk: float) -> None:
    k = 9
    x = torch.full((len(rows), k), junk, dtype=torch.float64)
    valid = torch.zeros(len(rows), k, dtype=torch.bool)
    for i, row in enumerate(rows):
        at = torch.arange(len(row)) + i % 2  # also with a hole in front
        x[i, at], valid[i, at] = torch.tensor(row, dtype=torch.float64), True
    out = top_cluster(x, valid)
    for i, row in enumerate(rows):
        assert out[i, valid[i]].tolist() == (members(row) if row else [])
        assert not out[i, ~valid[i]].any()


@pytest.mark.parametrize(
    ("values", "kept"),
    [
        ([3.0], [True]),  # K = 1: that one
        ([1.0, 2.0], [False, True]),  # K = 2: the larger one
        ([2.0, 2.0], [True, True]),  # all equal: all
        ([1.0, 1.0, 1.0, 1.0], [True] * 4),
        ([5.0, 1.0, 5.0], [True, False, True]),  # two distinct values: the group of the maximum
        ([1.0, 2.0, 3.0], [False, False, True]),  # three distinct values: the single best
        ([-1.0, 0.0, 1.0, 2.0], [False, False, False, True]),  # symmetric tie: the smaller top cluster
        ([0.9, 5.0, -7.0, 1.0, 4.9], [False, True, False, False, True]),
    ],
)
def test_small_and_degenerate_rows(values: list[float], kept: list[bool]) -> None:
    assert members(values) == kept


@given(st.floats(-30, 0), st.floats(0.01, 3), st.permutations(range(4)))
@QUICK
def test_equally_good_partitions_are_told_apart_by_rule_not_by_rounding(
    start: float, step: float, order: list[int]
) -> None:
    """Four evenly spaced values: {-1} {0} {1, 2}, {-1} {0, 1} {2} and {-1, 0} {1} {2} are equally good, and only
    rounding tells them apart; the smallest top cluster is kept."""
    values = [start + step * i for i in range(4)]
    assert members([values[i] for i in order]) == [i == 3 for i in order]


def test_no_negatives_at_all() -> None:
    assert top_cluster(torch.empty(2, 0), torch.empty(2, 0, dtype=torch.bool)).shape == (2, 0)


def test_memory_bound_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.randn(5, 40, generator=torch.Generator().manual_seed(0))
    valid = torch.ones_like(x, dtype=torch.bool)
    whole = top_cluster(x, valid, 4)
    monkeypatch.setattr("polo_dynamicpo.clustering._ENTRIES", 500)
    assert torch.equal(top_cluster(x, valid, 4), whole)
    assert whole.any(-1).all()
