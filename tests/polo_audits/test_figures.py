"""Figures of audits: against their definition on small data, and on real data."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Rows
from polo.audit.verdicts import audited, check
from polo.recipe.model import Candidates
from polo_audits.figures import sample, standard_errors
from polo_audits.order import explained
from polo_audits.overlap import overlaps
from polo_datasets.demo import Demo
from polo_datasets.lastfm import LastFM
from polo_datasets.ml100k import ML100K
from polo_datasets.options import DemoOptions, LastFMOptions, ML100KOptions
from tests.polo_audits.world import audits
from tests.real_data import context, real_data

EDGES = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 6)).filter(lambda e: e[0] != e[1]), min_size=1, max_size=14
)


def _has_cycle(edges: set[tuple[int, int]]) -> bool:
    """Takes off items that nothing points to until none is left."""
    while edges:
        pointed = {b for _, b in edges}
        rest = {(a, b) for a, b in edges if a in pointed}
        if rest == edges:
            return True
        edges = rest
    return False


@given(EDGES)
def test_law_all_is_explained_exactly_if_there_is_no_cycle(edges: list[tuple[int, int]]) -> None:
    a, b = np.array(edges).T
    assert (explained(a, b, 7) == 1.0) == (not _has_cycle(set(edges)))


@given(EDGES)
def test_law_at_least_half_of_the_pairs_is_explained_and_no_more_than_can_be(edges: list[tuple[int, int]]) -> None:
    a, b = np.array(edges).T
    share = explained(a, b, 7)
    # of two opposite edges one goes backwards in any order
    lost = sum(min(edges.count((x, y)), edges.count((y, x))) for x in range(7) for y in range(x))
    assert 0.5 <= share <= 1 - lost / len(edges) + 1e-12


def _rows(rng: np.random.Generator, count: int, n: int, n_items: int) -> Rows:
    lists = np.array([rng.choice(n_items, n, replace=False) for _ in range(count)]).reshape(count, n)
    target = lists[np.arange(count), rng.integers(0, n, count)]
    return Rows(np.arange(count), np.arange(count), np.zeros((count, 1), np.int64), target, lists)


@settings(max_examples=25)
@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(2, 6))
def test_law_overlap_is_the_largest_number_of_shared_items(seed: int, n: int, n_seen: int) -> None:
    rng = np.random.default_rng(seed)
    rows, seen = _rows(rng, 7, n, 9), _rows(rng, 20, n_seen, 9)
    assert rows.candidates is not None
    assert seen.candidates is not None
    found = overlaps(rows, [seen], 9)
    for i, listed in enumerate(rows.candidates.tolist()):
        for j, c in enumerate(listed):
            shared = [
                len((set(listed) & set(other)) - {c})
                for other, target in zip(seen.candidates.tolist(), seen.target.tolist(), strict=True)
                if target == c
            ]
            assert found[i, j] == max(shared, default=-1)


def test_errors_are_clustered_by_user() -> None:
    """Four rows of two users: residuals 0.5 and -0.5 summed by user are 1 and -1, so error = sqrt(2) / 4."""
    difference, users = np.array([1.0, 1.0, 0.0, 0.0]), np.array([3, 3, 8, 8])
    assert standard_errors(difference, users) == pytest.approx(0.5 / (2**0.5 / 4))


@given(st.integers(1, 30), st.integers(1, 30))
def test_law_a_sample_does_not_depend_on_the_order_of_rows(count: int, n: int) -> None:
    rows = _rows(np.random.default_rng(0), count, 2, 5)
    one, other = sample(rows, n), sample(rows[np.arange(count)[::-1]], n)
    assert sorted(one.id.tolist()) == sorted(other.id.tolist())
    assert len(one) == min(count, n)


EXPECTED = {
    "lastfm": {"order": "fail", "overlap_file": "fail", "overlap": "ok", "false_negatives": "warn", "candidates": "ok",
               "popularity": "warn"},
    "ml100k": {"order": "ok", "overlap": "ok", "ties": "warn", "false_negatives": "ok", "leakage": "ok",
               "candidates": "ok", "overlap_file": "ok", "text": "warn"},
    "demo": {"order": "ok", "overlap": "ok", "ties": "ok", "false_negatives": "ok", "leakage": "ok", "text": "ok"},
}  # fmt: skip


@pytest.mark.parametrize("name", EXPECTED)
def test_verdicts_on_known_data(name: str, tmp_path: Path) -> None:
    if name == "lastfm":
        splits = LastFM(LastFMOptions(path=real_data("lastfm-hetrec")), context(tmp_path)).load()
    elif name == "ml100k":
        splits = ML100K(ML100KOptions(path=real_data("ml-100k")), context(tmp_path)).load()
    else:
        splits = Demo(DemoOptions(), context(tmp_path)).load()
    found = {c.name: c.finding for c in check(audits(), audited(splits, Candidates()))}
    assert {key: found[key].verdict for key in EXPECTED[name]} == EXPECTED[name]
    if name == "lastfm":  # published with the files: every neighbouring pair increases; popularity about 0.24
        assert found["order"].figure == 1.0
        assert found["overlap_file"].figure is not None
        assert found["overlap_file"].figure > 0.5
        assert "(file" in found["false_negatives"].meaning or "in the file" in found["false_negatives"].meaning
