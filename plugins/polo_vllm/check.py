"""The parity check: another engine's scores against the policy's own, on the first users. Knows numbers only."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from polo import FloatArray, IntArray, PoloError

#: nats: float32 sums differ by rounding (1.6e-5 on 64 users of a small model); bfloat16 by 0.11 between any two engines
TOLERANCE = {"float32": 1e-3, "bfloat16": 0.15, "float16": 0.15}


@dataclass(frozen=True)
class Parity:
    """How two engines agree.

    Attributes:
        rows: rows compared.
        max_difference: largest absolute difference of a sum of log-probabilities, in nats.
        same_best: share of rows with the same best candidate, to the letter.
        agreement: the same, where a candidate that the policy scores within ``tie`` nats of its best is as good.
        rank_correlation: mean over rows of Spearman's rank correlation of the two score lists.
        tie: nats.
    """

    rows: int
    max_difference: float
    same_best: float
    agreement: float
    rank_correlation: float
    tie: float

    def line(self) -> str:
        """One line for the user."""
        return (
            f"{self.rows} rows scored by the policy too: largest difference {self.max_difference:.2g} nats, "
            f"same best candidate {self.same_best:.1%} ({self.agreement:.1%} with ties within {self.tie:g} nats), "
            f"rank correlation {self.rank_correlation:.4f}"
        )


def compare(ours: FloatArray, theirs: FloatArray, tie: float) -> Parity:
    """Compares scores ``[N, n]`` of the policy (``ours``) and of the other engine.

    Example:
        >>> a = np.array([[-1.0, -2.0], [-1.0, -1.01]])
        >>> b = np.array([[-1.1, -2.0], [-1.2, -1.0]])
        >>> found = compare(a, b, tie=0.03)
        >>> round(found.max_difference, 3), found.same_best, found.agreement
        (0.2, 0.5, 1.0)
    """
    best = np.take_along_axis(ours, theirs.argmax(axis=1)[:, None], axis=1)[:, 0]
    return Parity(
        rows=len(ours),
        max_difference=float(np.abs(ours - theirs).max()) if np.isfinite(theirs).all() else float("inf"),
        same_best=float((ours.argmax(axis=1) == theirs.argmax(axis=1)).mean()),
        agreement=float((ours.max(axis=1) - best <= tie).mean()),
        rank_correlation=float(np.mean([_spearman(a, b) for a, b in zip(ours, theirs, strict=True)])),
        tie=tie,
    )


def insist(parity: Parity, tolerance: float, agreement: float) -> None:
    """Raises PoloError if the two differ by more than rounding explains."""
    if parity.max_difference <= tolerance and parity.agreement >= agreement:
        return
    raise PoloError(
        f"vLLM's scores are not the policy's: {parity.line()}; allowed are {tolerance:g} nats and {agreement:.0%}",
        where="evaluate.scorer",
        fix="use evaluate.scorer=policy; or try strategy: trie, lora: merge or dtype: float32",
    )


def as_report(parity: Parity, tolerance: float) -> dict[str, float]:
    """For the run's results: every figure, and what was allowed."""
    return {**asdict(parity), "tolerance": tolerance}


def first_users(users: IntArray, n: int) -> IntArray:
    """Row numbers of the first row of each of the first ``n`` users, in order.

    Example:
        >>> first_users(np.array([7, 7, 3, 9, 3]), 2).tolist()
        [0, 2]
    """
    first: IntArray = np.sort(np.unique(users, return_index=True)[1])[:n].astype(np.int64)
    return first


def _spearman(a: FloatArray, b: FloatArray) -> float:
    ranks = [_ranks(a), _ranks(b)]
    if any(r.std() == 0 for r in ranks):
        return 1.0 if (ranks[0] == ranks[1]).all() else 0.0
    return float(np.corrcoef(ranks[0], ranks[1])[0, 1])


def _ranks(values: FloatArray) -> FloatArray:
    """Ranks from 0, equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    ranks: FloatArray = ((ends - counts + ends - 1) / 2)[inverse]
    return ranks
