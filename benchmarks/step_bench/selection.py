"""Boundary selection and dual-margin beta on their own: exact and vectorised against scikit-learn row by row."""

from __future__ import annotations

import statistics
import time

import torch
from sklearn.cluster import KMeans
from torch import Tensor

from polo import Scores
from step_bench.contestants import Objective


def row_by_row(policy: Tensor, margin: float = 6.0, scale: float = 0.5) -> tuple[Tensor, Tensor]:
    """Boundary set and beta as published trainers compute them: one row after the other, one negative after the other.

    DynamicPO (arXiv 2605.00327) with KMeans(3, random_state=42); a negative at or above the target takes the place of
    the clusters. Our own words for the published procedure, not its code.

    Returns:
        Bool and float ``[B, K]``.
    """
    keep = torch.zeros(len(policy), policy.shape[1] - 1, dtype=torch.bool)
    beta = torch.ones(keep.shape)
    for b, row in enumerate(policy):
        chosen, rejected = row[0], row[1:]
        inside = [j for j, value in enumerate(rejected) if value >= chosen]
        if not inside:
            labels = KMeans(n_clusters=3, random_state=42).fit_predict(rejected.double().numpy()[:, None])
            means = [rejected[torch.from_numpy(labels == c)].mean().item() for c in range(3)]
            inside = [j for j, label in enumerate(labels) if label == means.index(max(means))]
        outside = [j for j in range(len(rejected)) if j not in inside]
        mean = torch.stack([rejected[j] for j in outside or inside]).mean()
        for j in inside:
            upper, lower = chosen - rejected[j], rejected[j] - mean
            keep[b, j] = True
            beta[b, j] = 1 + scale * torch.tanh((upper - lower - margin) / (upper.abs() + lower.abs()))
    return keep, beta


def selection_ratio(rows: int = 32, k: int = 20, rounds: int = 9, seed: int = 0) -> dict[str, float]:
    """Ratios of process times, interleaved, median of the rounds: to the published procedure and to its KMeans alone.

    Scores are drawn so that no negative reaches the target: then every row is clustered.

    Raises:
        AssertionError: the two differ in a row for which scikit-learn finds the exact clusters.
    """
    generator = torch.Generator().manual_seed(seed)
    policy = -20 - 15 * torch.rand(rows, 1 + k, generator=generator)
    policy[:, 0] = -5
    scores = Scores.of(policy, ref=torch.zeros_like(policy))
    exact, kmeans = Objective("exact"), Objective("sklearn")
    mine, published = exact.select(scores), row_by_row(policy)
    agree = (mine[0] == published[0]).all(1)
    assert agree.any()
    torch.testing.assert_close(mine[1][agree], published[1][agree], atol=1e-5, rtol=0)
    kmeans.select(scores)
    times = []
    for _ in range(rounds):
        start = time.process_time()
        row_by_row(policy)
        first = time.process_time()
        kmeans.select(scores)
        second = time.process_time()
        for _ in range(20):
            exact.select(scores)
        times.append((first - start, second - first, (time.process_time() - second) / 20))
    ratios = [published / own for published, _, own in times]
    return {
        "ratio": statistics.median(ratios),
        "low": min(ratios),
        "high": max(ratios),
        "ratio_to_kmeans_alone": statistics.median(alone / own for _, alone, own in times),
        "published_s": statistics.median(row[0] for row in times),
        "ours_s": statistics.median(row[2] for row in times),
        "rows_with_equal_clusters": float(agree.float().mean()),
    }
