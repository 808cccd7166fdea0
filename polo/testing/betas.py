"""The laws that every beta schedule keeps."""

from __future__ import annotations

from dataclasses import replace

import torch

from polo.protocols import Beta
from polo.testing.cases import Case, cases, permuted


def check_beta(beta: Beta, *, by_column: bool = False) -> None:
    """Checks a beta schedule on built-in cases.

    The laws: a finite number of at least 0 for each negative that is kept, in float32 or wider, without gradient; what
    is not valid has no influence; a call changes nothing; a negative's beta moves with it when the order changes.

    Args:
        by_column: the beta draws randomness by column, so that the order of the negatives does play a part.

    Raises:
        AssertionError: names the broken law.
    """
    for one in cases():
        for progress in (0.0, 0.5, 1.0):
            _one_call(beta, one, progress)
        if not by_column:
            order = torch.arange(one.keep.shape[1]).flip(0)
            turned = permuted(one, order)
            assert torch.allclose(
                torch.where(one.keep, beta(one.scores, one.keep, 0.5), 0.0)[:, order],
                torch.where(turned.keep, beta(turned.scores, turned.keep, 0.5), 0.0),
                rtol=1e-9,
            ), "a negative's beta moves with it"


def _one_call(beta: Beta, one: Case, progress: float) -> None:
    scores = replace(one.scores, policy=one.scores.policy.clone().requires_grad_())
    out = beta(scores, one.keep, progress)
    assert out.shape == one.keep.shape, f"a beta of each negative: {tuple(out.shape)}, expected {tuple(one.keep.shape)}"
    assert out.dtype in (torch.float32, torch.float64), f"float32 or wider, not {out.dtype}"
    assert not out.requires_grad, "no gradient flows through beta"
    kept = out[one.keep]
    assert kept.isfinite().all(), "finite where kept"
    assert (kept >= 0).all(), "at least 0 where kept"
    assert torch.equal(kept, beta(scores, one.keep, progress)[one.keep]), (
        "calling twice gives the same beta: move running state in after_step"
    )
    policy = one.scores.policy.clone()
    policy[:, 1:] = torch.where(one.scores.valid_rejected, policy[:, 1:], torch.nan)
    junk = beta(one.with_policy(policy).scores, one.keep, progress)
    assert torch.equal(kept, junk[one.keep]), "what is not valid has no influence, even when it is NaN"
