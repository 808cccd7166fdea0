"""Where a loss's gradient goes: to boundary negatives or to easy ones. Knows scores and objectives; knows no model.

Measured on the candidate lists of the evaluation, whose scores the run has written anyway: uniform negatives of
held-out rows, the same for every cell of a data set. So this is the gradient that the objective would send back for
rows it was not trained on, not that of a training batch.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import torch
from torch import Tensor

from polo import RowRandom, Scores
from polo.protocols import Sampler
from polo.train.objective import Objective


def listed_scores(evaluation: Path, k: int, policy: str = "model", reference: str = "sft") -> Scores:
    """Target and k of the other candidates of every evaluated row, float64.

    Args:
        evaluation: a run's folder ``eval``.
        k: negatives; the first k of a random order of the list, so that those of a smaller k are among them.
        policy, reference: systems whose scores are taken.
    """
    own, other = (pq.read_table(evaluation / f"scores-{name}.parquet") for name in (policy, reference))
    candidates = np.stack(own["candidates"].to_numpy()).astype(np.int64)
    target, rows = own["target"].to_numpy(), own["row"].to_numpy()
    if not np.array_equal(rows, other["row"].to_numpy()):
        raise ValueError(f"{evaluation}: the systems were evaluated on different rows")
    place = RowRandom(0, "collapse").uniform(rows, candidates.shape[1])
    place[candidates == target[:, None]] = -1.0  # the target first
    order = np.argsort(place, axis=1, kind="stable")[:, : 1 + k]

    def ordered(table: object) -> Tensor:
        return torch.from_numpy(np.take_along_axis(np.asarray(table), order, axis=1))

    return Scores.of(
        ordered(np.stack(own["scores"].to_numpy()).astype(np.float64)),
        items=ordered(candidates),
        ref=ordered(np.stack(other["scores"].to_numpy()).astype(np.float64)),
        tokens=ordered(np.stack(own["tokens"].to_numpy()).astype(np.int64)),
        users=torch.from_numpy(own["user"].to_numpy().copy()),
        rows=torch.from_numpy(rows.copy()),
    )


def shares(objective: Objective, boundary: Sampler, scores: Scores) -> dict[str, float | None]:
    """How the gradient with respect to the negatives' scores divides between boundary negatives B and easy ones.

    With g_j = |dL/dscore_j| of the objective (its own sampler, beta and loss):

    Returns:
        ``boundary_share``: sum of g over B / sum of g over all negatives (``None`` if there is no gradient at all);
        ``boundary_negatives``: share of negatives that are in B (what an objective that weighs all alike would give);
        ``boundary_gradient``: mean over rows of the sum of g over B; ``boundary_each``, ``easy_each``: mean g of one
        boundary, one easy negative (``None`` where there is none).

    Example (three negatives of equal weight, one of them the nearest to the target):
        >>> from polo_preference.losses.dmpo import Dmpo
        >>> class Nearest:
        ...     def keep(self, scores, rng, progress):
        ...         return scores.rejected == scores.rejected.max(-1, keepdim=True).values
        >>> ref = torch.zeros(1, 4)
        >>> found = shares(Objective(loss=Dmpo(None, None)), Nearest(), Scores.of(-torch.arange(4.0)[None], ref=ref))
        >>> round(found["boundary_share"], 4), round(found["boundary_negatives"], 4)
        (0.3333, 0.3333)
    """
    bare, rng = scores.detach(), RowRandom(0, "collapse", "keep")
    near = boundary.keep(bare, rng, 1.0) & bare.valid_rejected
    kept = (
        bare.valid_rejected
        if objective.sampler is None
        else objective.sampler.keep(bare, rng, 1.0) & bare.valid_rejected
    )
    beta = torch.ones_like(bare.rejected) if objective.beta is None else objective.beta(bare, kept, 1.0)
    leaf = bare.policy.clone().requires_grad_()
    loss = objective.loss(replace(bare, policy=leaf), kept & (beta > 0), beta)
    (gradient,) = torch.autograd.grad(loss.sum(), leaf)
    size = gradient[:, 1:].abs()
    easy = bare.valid_rejected & ~near
    on_near, on_easy = float(size[near].sum()), float(size[easy].sum())
    count_near, count_easy = int(near.sum()), int(easy.sum())
    return {
        "boundary_share": on_near / (on_near + on_easy) if on_near + on_easy else None,
        "boundary_negatives": count_near / max(1, count_near + count_easy),
        "boundary_gradient": on_near / len(size),
        "boundary_each": on_near / count_near if count_near else None,
        "easy_each": on_easy / count_easy if count_easy else None,
    }
