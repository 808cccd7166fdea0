"""EASE and iALS against what defines them: dense regressions, normal equations, an objective that never rises."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from polo import Context, Sequences
from polo.testing import context
from polo_baselines.ease import Ease, ease_table
from polo_baselines.ials import Ials, solve
from polo_baselines.options import EaseOptions, IalsOptions
from polo_baselines.profiles import Profiles, of_users
from tests.toy_splits import SEQUENCES, N, rows_of, splits_of

QUICK = settings(max_examples=25, deadline=None)


def dense(lists: list[list[int]]) -> np.ndarray:
    out = np.zeros((len(lists), N))
    for user, items in enumerate(lists):
        out[user, items] = 1
    return out


@QUICK
@given(SEQUENCES, st.sampled_from([0.5, 3.0, 200.0]))
def test_law_every_column_of_ease_is_a_ridge_regression_on_the_other_items(
    lists: list[list[int]], ridge: float
) -> None:
    x, found = dense(lists), ease_table(sparse.csr_array(dense(lists)), ridge)
    for j in range(N):
        rest = np.delete(np.arange(N), j)
        weights = np.linalg.solve(x[:, rest].T @ x[:, rest] + ridge * np.eye(N - 1), x[:, rest].T @ x[:, j])
        np.testing.assert_allclose(found[rest, j], weights, atol=1e-10)
        assert found[j, j] == 0


@QUICK
@given(SEQUENCES, st.lists(st.lists(st.integers(0, N - 1), max_size=4, unique=True), min_size=1, max_size=5))
def test_ease_sums_its_table_over_what_it_looks_at(lists: list[list[int]], histories: list[list[int]]) -> None:
    splits, rows = splits_of(lists), rows_of(histories)
    rows = replace(rows, user=np.arange(len(rows)) % (len(lists) + 1))  # the last user is unknown
    candidates = np.random.default_rng(0).integers(0, N, (len(rows), 4))
    table = ease_table(sparse.csr_array(dense(lists)), 2.0)
    training = [*lists, []]
    for looks_at, items in (("history", histories), ("training", [training[u] for u in rows.user])):
        baseline = Ease(EaseOptions(ridge=2.0, looks_at=looks_at), context())  # type: ignore[arg-type]
        baseline.fit(splits)
        expected = [
            [table[known, c].sum() for c in line] for known, line in zip(items, candidates.tolist(), strict=True)
        ]
        np.testing.assert_allclose(baseline.score(rows, candidates), np.array(expected), atol=1e-12)


def test_rows_that_can_show_nothing_are_known_by_their_users_training_items() -> None:
    rows = replace(rows_of([[0], [1]]), user=np.array([5, 4]), history=np.empty((2, 0), np.int64))
    profiles = Profiles("history", Sequences.of([4, 5, 4], [[0, 1], [2], [1, 3]]), N)
    assert [np.flatnonzero(line).tolist() for line in profiles.of(rows).toarray()] == [[2], [0, 1, 3]]


def options(**changes: Any) -> IalsOptions:
    return IalsOptions(**{"width": 3, "epochs": 4, "unobserved": 0.3, "regulariser": 0.05, **changes})


@QUICK
@given(SEQUENCES, st.sampled_from([0.0, 0.5, 1.0]), st.sampled_from([0.05, 1.0]))
def test_law_a_half_step_of_ials_solves_the_dense_weighted_least_squares(
    lists: list[list[int]], nu: float, unobserved: float
) -> None:
    o, x = options(nu=nu, unobserved=unobserved), dense(lists)
    h = np.random.default_rng(1).normal(size=(N, 3))
    found = solve(sparse.csr_array(x), h, o)
    for w, taken in zip(found, x, strict=True):
        # weights: unobserved for all as 0, 1 more for those taken as 1; stacked rows of one ordinary problem
        ridge = o.regulariser * (taken.sum() + unobserved * N) ** nu
        a = np.concatenate([taken[:, None] * h, unobserved**0.5 * h, ridge**0.5 * np.eye(3)])
        b = np.concatenate([taken, np.zeros(N), np.zeros(3)])
        np.testing.assert_allclose(w, np.linalg.lstsq(a, b, rcond=None)[0], atol=1e-9)


def objective(x: np.ndarray, w: np.ndarray, h: np.ndarray, o: IalsOptions) -> float:
    y = w @ h.T
    users = (x.sum(1) + o.unobserved * x.shape[1]) ** o.nu
    items = (x.sum(0) + o.unobserved * x.shape[0]) ** o.nu
    norms = (users * (w**2).sum(1)).sum() + (items * (h**2).sum(1)).sum()
    return float((x * (y - 1) ** 2).sum() + o.unobserved * (y**2).sum() + o.regulariser * norms)


@QUICK
@given(SEQUENCES)
def test_law_no_half_step_of_ials_raises_the_objective(lists: list[list[int]]) -> None:
    o, x = options(), dense(lists)
    has, taken = sparse.csr_array(x), sparse.csr_array(x.T.copy())
    rng = np.random.default_rng(2)
    w, h = rng.normal(size=(len(lists), 3)), rng.normal(size=(N, 3))
    values = [objective(x, w, h, o)]
    for _ in range(3):
        w = solve(has, h, o)
        values.append(objective(x, w, h, o))
        h = solve(taken, w, o)
        values.append(objective(x, w, h, o))
    assert all(after <= before + 1e-9 for before, after in pairwise(values))


def test_many_rows_of_unlike_lengths_are_solved_as_each_alone() -> None:
    """More rows than are solved together, with 0 to 60 items."""
    rng = np.random.default_rng(0)
    x = (rng.random((700, 60)) < rng.random((700, 1))).astype(float)
    x[3] = 0
    o, h = options(width=5), rng.normal(size=(60, 5))
    found = solve(sparse.csr_array(x), h, o)
    for i in (0, 3, 250, 300, 699):
        np.testing.assert_allclose(found[i], solve(sparse.csr_array(x[i : i + 1]), h, o)[0], atol=1e-12)
    assert (found[3] == 0).all()


def test_ials_scores_by_the_best_vector_for_the_rows_items_and_learns_two_tastes() -> None:
    """Users of items 0 to 2 and of 3 to 5: who has 0 and 1 prefers 2 to 3, and who has 4 and 5 prefers 3 to 2."""
    lists = [[0, 1, 2]] * 4 + [[3, 4, 5]] * 4 + [[0, 1]] + [[4, 5]]
    splits, o = splits_of(lists), options(epochs=8)
    baseline = Ials(o, context())
    baseline.fit(splits)
    rows, candidates = rows_of([[0, 1], [4, 5], []]), np.array([[2, 3]] * 3)
    scores = baseline.score(rows, candidates)
    assert scores[0, 0] > scores[0, 1] + 0.3
    assert scores[1, 1] > scores[1, 0] + 0.3
    assert (scores[2] == 0).all()
    again = Ials(o, context())
    again.fit(splits)
    assert (again.score(rows, candidates) == scores).all()
    other = Ials(o, context(seed=1))
    other.fit(splits)
    assert (other.score(rows, candidates) != scores).any()


@pytest.mark.parametrize(
    ("baseline", "items", "taken"), [(Ease, 5000, True), (Ease, 5001, False), (Ials, 60_000, False)]
)
def test_all_leaves_out_what_would_take_long(baseline: Any, items: int, taken: bool) -> None:
    o = {Ease: EaseOptions, Ials: IalsOptions}[baseline]()
    ctx: Context = context()
    assert baseline(o, ctx).applies(splits_of([[0]], n_items=items)) == taken


def test_users_come_once_and_in_order() -> None:
    numbers, has = of_users(Sequences.of([9, 4, 9], [[0], [1], [0, 2]]), 3)
    assert (numbers.tolist(), has.toarray().tolist()) == ([4, 9], [[0, 1, 0], [1, 0, 1]])
