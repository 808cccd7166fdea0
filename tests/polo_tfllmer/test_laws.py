"""Laws of the transforms: what a rotation, an order, a graph and a weight can change, and what they cannot."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo import Sequences
from polo_tfllmer.graph import laplacian, together
from polo_tfllmer.linear import mean_of, scatter, through
from tests.polo_tfllmer.world import of, span, taken

N, D, K = 24, 6, 3
SHAPES: list[dict[str, Any]] = [
    {"laplacian": kind, "form": form, "window": window}
    for kind in ("combinatorial", "normalised")
    for form in ("difference", "ratio")
    for window in (None, 2)
]
shapes = st.sampled_from(SHAPES)
seeds = st.integers(0, 2**32 - 1)


def world(seed: int, alone: int = 4) -> tuple[np.ndarray, list[list[int]]]:
    """Vectors of unequal spread, and sequences that leave the last ``alone`` items out."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(N, D)) * np.geomspace(3, 0.5, D) + rng.normal(size=D)
    return x, [rng.choice(N - alone, size=rng.integers(2, 7), replace=False).tolist() for _ in range(12)]


def moments(x: np.ndarray, sequences: list[list[int]], kind: Any, window: int | None) -> tuple[np.ndarray, np.ndarray]:
    """C and T by their definitions, dense."""
    graph = together(Sequences.of(range(len(sequences)), sequences), len(x), window)
    centred = x - x.mean(axis=0)
    return centred.T @ centred, centred.T @ laplacian(graph, kind).toarray() @ centred


@given(seeds, shapes, st.floats(0, 10))
def test_law_a_rotation_of_the_vectors_changes_nothing(seed: int, shape: dict[str, Any], weight: float) -> None:
    x, sequences = world(seed)
    rotation = np.linalg.qr(np.random.default_rng(seed + 1).normal(size=(D, D)))[0]
    splits = taken(N, sequences)
    one = of("rec_pca", x, splits, k=K, lambda_=weight, **shape)
    other = of("rec_pca", x @ rotation, splits, k=K, lambda_=weight, **shape)
    np.testing.assert_allclose(one @ one.T, other @ other.T, atol=1e-6)


@given(seeds, shapes, st.floats(0, 10))
def test_law_a_constant_added_to_all_changes_nothing(seed: int, shape: dict[str, Any], weight: float) -> None:
    x, sequences = world(seed)
    splits = taken(N, sequences)
    one = of("rec_pca", x, splits, k=K, lambda_=weight, **shape)
    other = of("rec_pca", x + 7.5, splits, k=K, lambda_=weight, **shape)
    np.testing.assert_allclose(one, other, atol=1e-6)


@given(seeds, shapes)
def test_law_without_weight_or_without_a_graph_it_is_pca(seed: int, shape: dict[str, Any]) -> None:
    x, sequences = world(seed)
    pca = of("pca", x, taken(N, sequences), k=K)
    np.testing.assert_allclose(of("rec_pca", x, taken(N, sequences), k=K, lambda_=0.0, **shape), pca, atol=1e-9)
    np.testing.assert_allclose(of("rec_pca", x, taken(N, [[0], [1]]), k=K, lambda_=2.0, **shape), pca, atol=1e-9)


@given(seeds, st.sampled_from(["combinatorial", "normalised"]))
def test_law_with_all_weight_it_is_the_smoothest_subspace(seed: int, kind: str) -> None:
    """Of C - mu T only -T is left as mu grows: the span of the eigenvectors of T with the least total variation."""
    x, sequences = world(seed)
    t = moments(x, sequences, kind, None)[1]
    values, vectors = np.linalg.eigh(t)
    if values[K] - values[K - 1] < 1e-3 * values[-1]:
        return  # no one subspace is the smoothest
    smooth = (x - x.mean(axis=0)) @ vectors[:, :K]
    found = of("rec_pca", x, taken(N, sequences), k=K, lambda_=1e9, laplacian=kind, form="difference")
    np.testing.assert_allclose(span(found), span(smooth), atol=1e-4)


@given(seeds, st.sampled_from(["combinatorial", "normalised"]), st.tuples(st.floats(0, 5), st.floats(0, 5)))
def test_law_more_weight_never_keeps_more_variance_nor_more_variation(
    seed: int, kind: str, weights: tuple[float, float]
) -> None:
    x, sequences = world(seed)
    c, t = moments(x, sequences, kind, None)
    kept = []
    for weight in sorted(weights):
        z = of("rec_pca", x, taken(N, sequences), k=K, lambda_=weight, laplacian=kind, form="difference")
        w = np.linalg.lstsq(x - x.mean(axis=0), z, rcond=None)[0]
        np.testing.assert_allclose(w.T @ w, np.eye(K), atol=1e-7)
        kept.append((np.trace(w.T @ c @ w), np.trace(w.T @ t @ w)))
    assert kept[1][0] <= kept[0][0] + 1e-6
    assert kept[1][1] <= kept[0][1] + 1e-6


@given(seeds, shapes, st.floats(0, 3))
def test_law_items_of_one_vector_stay_items_of_one_vector(seed: int, shape: dict[str, Any], weight: float) -> None:
    x, sequences = world(seed)
    x[5] = x[11] = x[N - 1]
    for name, options in (("pca", {}), ("whiten", {}), ("norm", {}), ("rec_pca", {"lambda_": weight, **shape})):
        made = of(name, x, taken(N, sequences), **({} if name == "norm" else {"k": K}), **options)
        np.testing.assert_allclose(made[[5, 11]], made[[N - 1, N - 1]], atol=1e-12)


@given(seeds, shapes, st.floats(0, 3))
def test_law_the_order_of_items_changes_the_order_alone(seed: int, shape: dict[str, Any], weight: float) -> None:
    x, sequences = world(seed)
    order = np.random.default_rng(seed + 2).permutation(N)
    place = np.argsort(order)
    renamed = [[int(place[item]) for item in one] for one in sequences]
    for name, options in (("pca", {}), ("whiten", {}), ("rec_pca", {"lambda_": weight, **shape})):
        one = of(name, x, taken(N, sequences), k=K, **options)
        other = of(name, x[order], taken(N, renamed), k=K, **options)
        np.testing.assert_allclose(one[order], other, atol=1e-6)


@given(seeds, st.sampled_from(["combinatorial", "normalised"]), st.sampled_from([None, 1, 3]))
def test_law_total_variation_is_the_sum_over_edges(seed: int, kind: Any, window: int | None) -> None:
    """tr(T) = sum_{i<j} a_ij |x_i - x_j|^2 of the centred vectors, each over the root of its degree if normalised."""
    x, sequences = world(seed)
    graph = together(Sequences.of(range(len(sequences)), sequences), N, window)
    a, mean = graph.toarray(), mean_of(x)
    centred = x - mean
    degree = a.sum(axis=1)
    assert (degree[-4:] == 0).all(), "some items are alone"
    scaled = centred / np.sqrt(np.where(degree > 0, degree, 1.0))[:, None] if kind == "normalised" else centred
    far = ((scaled[:, None] - scaled[None]) ** 2).sum(axis=2)
    t = through(x, mean, laplacian(graph, kind))
    assert np.trace(t) == pytest.approx((np.triu(a) * far).sum(), rel=1e-9)
    np.testing.assert_allclose(scatter(x, mean), centred.T @ centred, atol=1e-9)


@pytest.mark.parametrize(("form", "weight"), [("difference", 0.9), ("ratio", 0.9), ("ratio", 30.0)])
def test_a_complete_graph_of_equal_weights_is_pca(form: str, weight: float) -> None:
    """L = n I - 11^T there, so T = n C: the same directions, as long as the difference leaves C the upper hand."""
    x, _ = world(3)
    everything = taken(N, [list(range(N))])
    pca = of("pca", x, everything, k=K)
    found = of("rec_pca", x, everything, k=K, lambda_=weight, laplacian="combinatorial", form=form)
    np.testing.assert_allclose(found, pca, atol=1e-8)


def test_with_much_weight_the_ratio_takes_what_varies_least_along_the_graph_for_its_variance() -> None:
    """Two directions of variance 1 and 1.2; along the edge 0-1 the larger one differs, the smaller one does not."""
    x = np.array([[1.0, 1.0], [1.0, -1.0], [-1.0, 1.2], [-1.0, -1.2]])
    graph = taken(4, [[0, 1]])
    for weight, column in ((0.0, 1), (30.0, 0)):
        found = of("rec_pca", x, graph, k=1, lambda_=weight)
        np.testing.assert_allclose(np.abs(found[:, 0]), np.abs(x[:, column]), atol=1e-9)


@given(seeds)
def test_law_blocks_change_nothing(seed: int) -> None:
    import polo_tfllmer.linear as linear

    x, sequences = world(seed)
    sparse = laplacian(together(Sequences.of(range(len(sequences)), sequences), N, None), "normalised")
    whole = scatter(x, mean_of(x)), through(x, mean_of(x), sparse)
    before, linear._BLOCK = linear._BLOCK, 2 * N  # four lines of x, two columns of a product
    try:
        parts = scatter(x, mean_of(x)), through(x, mean_of(x), sparse)
    finally:
        linear._BLOCK = before
    for one, other in zip(whole, parts, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)


@given(seeds)
def test_law_norm_bounds_the_curvature(seed: int) -> None:
    """With |e_i| = 1 the Hessian Cov_pi(e) / t^2 has its eigenvalues in [0, 1 / t^2], whatever pi is."""
    x, sequences = world(seed)
    e = of("norm", x, taken(N, sequences))
    pi = np.random.default_rng(seed).dirichlet(np.full(N, 0.3))
    middle = e - pi @ e
    values = np.linalg.eigvalsh((middle * pi[:, None]).T @ middle / 0.1**2)
    assert values[0] >= -1e-9
    assert values[-1] <= 1 / 0.1**2 + 1e-9
