"""``boundary``, ``dual_margin`` and the objectives together, against the published steps in plain loops."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from polo import RowRandom, Scores
from polo.testing import context, small_splits
from polo_dynamicpo.clustering import top_cluster
from tests.contracts.components import UNIFORM, make
from tests.polo_dynamicpo import published

SPLITS = small_splits()
LOGP = st.integers(-320, -1).map(lambda i: i / 16)
ROW = st.integers(1, 8).flatmap(
    lambda k: st.tuples(st.lists(LOGP, min_size=k + 1, max_size=k + 1), st.lists(LOGP, min_size=k + 1, max_size=k + 1))
)


def exact_top(values: list[float]) -> list[int]:
    x = torch.tensor([values], dtype=torch.float64)
    return torch.nonzero(top_cluster(x, torch.ones_like(x, dtype=torch.bool))[0])[:, 0].tolist()


def polo_says(
    lp: list[float], ref: list[float], method: str, margin: float, loss: str
) -> tuple[list[int], list[float], float]:
    """Boundary set, its betas and the loss of one row."""
    ctx = context(splits=SPLITS)
    sampler = make("sampler", "boundary", ctx, from_=UNIFORM, method=method)
    beta = make("beta", "dual_margin", ctx, margin=margin)
    scores = Scores.of(torch.tensor([lp], dtype=torch.float64), ref=torch.tensor([ref], dtype=torch.float64))
    keep = sampler.keep(scores, RowRandom(0), 0.0)
    strength = beta(scores, keep, 0.0)
    value = make("loss", loss, ctx)(scores, keep, strength)
    at = torch.nonzero(keep[0])[:, 0]
    return at.tolist(), strength[0, at].tolist(), float(value)


def check(lp: list[float], ref: list[float], method: str, margin: float, cluster: Any) -> None:
    inside = published.boundary(lp[0], lp[1:], cluster)
    beta = published.betas(lp[0], lp[1:], inside, 1.0, margin)
    r = [p - q for p, q in zip(lp, ref, strict=True)]
    expected = {
        "dmpo": published.dmpo(r[0], r[1:], beta),
        "sdpo": published.sdpo(r[0], r[1:], beta),
        "mppo": published.mppo(lp[0], lp[1:], beta),
    }
    for loss, value in expected.items():
        kept, strength, mine = polo_says(lp, ref, method, margin, loss)
        assert kept == inside
        assert strength == pytest.approx([beta[j] for j in inside], rel=1e-12, abs=1e-12)
        assert mine == pytest.approx(value, rel=1e-9, abs=1e-12), loss


@given(row=ROW, margin=st.sampled_from([6.0, 2.0]))
@example(row=([-9.0, -1.0, -2.0, -3.0, -4.0], [-5.0] * 5), margin=6.0)  # all violate
@example(row=([-1.0, -9.0, -2.0, -3.0, -4.0], [-5.0] * 5), margin=6.0)  # none violates
@example(row=([-3.0, -3.0, -3.125, -6.0, -9.0], [-5.0] * 5), margin=6.0)  # a tie with the target violates, alone
@example(row=([-3.0, -3.0], [-5.0] * 2), margin=2.0)  # K = 1, a tie violates; both margins 0
@example(row=([-1.0, -9.0], [-5.0] * 2), margin=2.0)  # K = 1
@example(row=([-1.0, -9.0, -4.0], [-5.0] * 3), margin=6.0)  # K = 2
@example(row=([-1.0, -4.0, -4.0], [-5.0] * 3), margin=6.0)  # K = 2, equal
@example(row=([-1.0, -4.0, -4.0, -9.0, -9.0, -4.0], [-5.0] * 6), margin=6.0)  # duplicates, two distinct values
@example(row=([-1.0] + [-4.0] * 6, [-5.0] * 7), margin=2.0)  # all equal
@settings(max_examples=40, deadline=None)
def test_exact_method_is_the_published_steps_with_exact_clusters(
    row: tuple[list[float], list[float]], margin: float
) -> None:
    check(*row, "exact", margin, exact_top)


@pytest.mark.parametrize("margin", [6.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_sklearn_method_is_the_published_steps(seed: int, margin: float) -> None:
    pytest.importorskip("sklearn")
    generator = torch.Generator().manual_seed(seed)
    lp = (-20 * torch.rand(13, generator=generator, dtype=torch.float64)).tolist()
    lp[0] = [-0.1, -0.2, -3.0, -19.0][seed]  # none, few and many violate
    check(
        lp,
        (-20 * torch.rand(13, generator=generator, dtype=torch.float64)).tolist(),
        "sklearn",
        margin,
        published.kmeans_top,
    )


@pytest.mark.parametrize(
    "lp", [[-1.0, -9.0], [-1.0, -9.0, -4.0], [-1.0, -4.0, -4.0, -4.0], [-1.0, -4.0, -4.0, -9.0, -9.0]]
)
def test_sklearn_method_stands_where_the_published_code_fails(lp: list[float]) -> None:
    """Fewer than three (distinct) negatives and no violation: KMeans(3) raises, or leaves a cluster empty whose NaN
    mean wins. Ours bounds the number of clusters by the distinct values; both methods agree there."""
    pytest.importorskip("sklearn")
    ref = [-5.0] * len(lp)
    assert polo_says(lp, ref, "sklearn", 6.0, "dmpo") == polo_says(lp, ref, "exact", 6.0, "dmpo")


def test_published_tensor_equality_pulls_in_negatives_that_indices_do_not() -> None:
    """The first public code marks boundary negatives by equality of log-ratio. Policy = reference makes all log-ratios
    0, so it would mark all four; by index only the violating one is kept."""
    lp = [-3.0, -2.0, -6.0, -9.0, -12.0]
    assert polo_says(lp, lp, "exact", 6.0, "dmpo")[0] == [0]


def test_worked_example() -> None:
    """Target -2; negatives -1, -3, -8: the first violates, so B = {1}, D = {2, 3}, mD = -5.5.
    d1 = -2 + 1 = -1, d2 = -1 + 5.5 = 4.5, g = 6: q = (-1 - 4.5 - 6) / 5.5 = -2.0909; tanh = -0.9699;
    beta = 1 - 0.48497 = 0.51503. Reference -4 for all: r_w - r_1 = -1. DMPO: softplus(0.51503) = 0.98347."""
    kept, strength, loss = polo_says([-2.0, -1.0, -3.0, -8.0], [-4.0] * 4, "exact", 6.0, "dmpo")
    assert kept == [0]
    assert strength == pytest.approx([0.5150], abs=1e-4)
    assert loss == pytest.approx(0.98347, abs=1e-5)
