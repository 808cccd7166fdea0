"""A straight reading of DynamicPO's published steps, in python loops over plain numbers: the judge of the components.

Steps A (boundary set), B (dual-margin beta) and C (the objective on the boundary set), one row at a time, with
scikit-learn's KMeans as the official trainer has it. Written from the description; the guard for fewer than three
distinct values is ours, because the published code fails there.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np


def kmeans_top(values: list[float]) -> list[int]:
    """Indices of the cluster with the highest mean, KMeans(random_state=42)."""
    from sklearn.cluster import KMeans

    n = min(3, len(values), len(set(values)))
    if n <= 1:
        return list(range(len(values)))
    labels = KMeans(n_clusters=n, random_state=42).fit_predict(np.array(values).reshape(-1, 1))
    means = [np.mean([v for v, label in zip(values, labels, strict=True) if label == c]) for c in range(n)]
    return [j for j, label in enumerate(labels) if label == int(np.argmax(means))]


def boundary(lp_w: float, lp: list[float], cluster: Callable[[list[float]], list[int]] = kmeans_top) -> list[int]:
    """Step A: all that violate; if none does, the highest cluster."""
    violating = [j for j, value in enumerate(lp) if value >= lp_w]
    return violating or cluster(lp)


def betas(lp_w: float, lp: list[float], inside: list[int], base: float, g: float) -> dict[int, float]:
    """Step B: beta_j of each boundary negative."""
    outside = [j for j in range(len(lp)) if j not in inside] or inside
    mean = sum(lp[j] for j in outside) / len(outside)
    out = {}
    for j in inside:
        d1, d2 = lp_w - lp[j], lp[j] - mean
        out[j] = base * (1 + 0.5 * math.tanh((d1 - d2 - g) / (abs(d1) + abs(d2) + 1e-8)))
    return out


def minus_log_sigmoid(z: float) -> float:
    return math.log1p(math.exp(-abs(z))) + max(-z, 0.0)


def dmpo(r_w: float, r: list[float], beta: dict[int, float]) -> float:
    return minus_log_sigmoid(sum(b * (r_w - r[j]) for j, b in beta.items()) / len(beta))


def sdpo(r_w: float, r: list[float], beta: dict[int, float]) -> float:
    return minus_log_sigmoid(-math.log(sum(math.exp(b * (r[j] - r_w)) for j, b in beta.items())))


def mppo(lp_w: float, lp: list[float], beta: dict[int, float]) -> float:
    return minus_log_sigmoid(sum(b * (math.exp(lp_w) - math.exp(lp[j])) for j, b in beta.items()))
