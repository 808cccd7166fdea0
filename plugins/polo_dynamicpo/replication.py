"""The published way to cluster: scikit-learn's KMeans, row by row on the host.

Not the optimal clusters in a quarter to half of realistic rows, and dependent on the order of the negatives; for
replication of published runs only. Knows scikit-learn, which is an optional dependency.
"""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import InputError


def require_sklearn() -> None:
    """Says at once, and not in the first training step, that scikit-learn is missing.

    Raises:
        InputError: it cannot be imported.
    """
    try:
        import sklearn.cluster  # noqa: F401
    except ImportError:
        raise InputError(
            "`method: sklearn` needs scikit-learn, which is not installed",
            where="sampler.method",
            fix="python -m pip install 'polo-rec[replication]', or method: exact",
        ) from None


def top_cluster_sklearn(x: Float[Tensor, "b k"], valid: Bool[Tensor, "b k"], clusters: int = 3) -> Bool[Tensor, "b k"]:
    """Members of the cluster with the highest mean by ``KMeans(min(clusters, distinct), random_state=42)``.

    The number of distinct values bounds that of clusters; the published code has no such bound and fails on duplicates.
    """
    from sklearn.cluster import KMeans

    out = torch.zeros_like(valid)
    for i, (values, mask) in enumerate(zip(x.double().cpu().numpy(), valid.cpu().numpy(), strict=True)):
        at = np.flatnonzero(mask)
        if not len(at):
            continue
        n = min(clusters, len(np.unique(values[at])))
        labels = (
            KMeans(n_clusters=n, random_state=42).fit_predict(values[at, None]) if n > 1 else np.zeros(len(at), int)
        )
        means = [values[at][labels == label].mean() for label in range(n)]
        out[i, torch.from_numpy(at[labels == int(np.argmax(means))]).to(out.device)] = True
    return out
