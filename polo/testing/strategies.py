"""Hypothesis strategies for property tests of losses and betas. Needs hypothesis (extra ``testing``)."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from polo.scores import Scores
from polo.testing.cases import Case

#: numbers on a dyadic grid: sums and differences of a few are exact in float64
GRID = st.integers(-512, 512).map(lambda i: i / 32)


@st.composite
def score_cases(
    draw: st.DrawFn, *, k: st.SearchStrategy[int] | None = None, all_kept: bool = False, one_beta: bool = False
) -> Case:
    """Cases in float64 with log-probabilities on a grid (in -32 to 0), titles of 1 to 6 tokens, beta in 1/16 to 2.

    Args:
        k: number of negatives (default 1 to 6).
        all_kept: every negative is valid and kept; otherwise each row keeps at least one.
        one_beta: the same beta for all.
    """
    b, n = draw(st.integers(1, 3)), draw(k if k is not None else st.integers(1, 6))

    def matrix(element: st.SearchStrategy[float], rows: int, columns: int) -> torch.Tensor:
        flat = draw(st.lists(element, min_size=rows * columns, max_size=rows * columns))
        return torch.tensor(flat, dtype=torch.float64).reshape(rows, columns)

    logp = st.integers(-1024, -1).map(lambda i: i / 32)
    keep = torch.ones(b, n, dtype=torch.bool)
    valid = torch.ones(b, 1 + n, dtype=torch.bool)
    if not all_kept:
        keep = matrix(st.sampled_from([0.0, 1.0]), b, n).bool()
        keep[:, draw(st.integers(0, n - 1))] = True
        valid[:, 1:] = keep | matrix(st.sampled_from([0.0, 1.0]), b, n).bool()
    betas = st.integers(1, 32).map(lambda i: i / 16)
    beta = torch.full((b, n), draw(betas), dtype=torch.float64) if one_beta else matrix(betas, b, n)
    scores = Scores.of(
        matrix(logp, b, 1 + n),
        ref=matrix(logp, b, 1 + n),
        tokens=matrix(st.integers(1, 6).map(float), b, 1 + n).long(),
        valid=valid,
        mismatched=matrix(GRID, b, 1)[:, 0],
    )
    return Case(scores, keep, beta)
