"""The laws that every loss head keeps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from polo.protocols import AtZero, Loss
from polo.testing.cases import Case, case, cases, permuted


def check_loss(head: Loss) -> None:
    """Checks a loss head on built-in cases.

    The laws: one finite loss of each row, in float32 for half types and float64 for float64; finite value and gradient
    at margins of +-1e4; what is not kept has no influence and exactly zero gradient, even where it is NaN; a row
    without negatives gives 0 if the head needs negatives; the order of negatives plays no part; a row's loss depends
    on that row alone unless the head needs ``whole_batch``; a call changes nothing; ``at_zero`` is the loss at
    policy = reference.

    Raises:
        AssertionError: names the broken law.
    """
    for one in cases():
        _shape_and_type(head, one)
        _repeatable(head, one)
        _left_out(head, one)
        _order(head, one)
        _rows(head, one)
        _value_at_zero(head, one)
    for dtype in (torch.float32, torch.bfloat16):
        for sign in (-1.0, 1.0):
            _extreme(head, sign, dtype)


def gradient(head: Loss, one: Case) -> tuple[Tensor, Tensor]:
    """Losses ``[B]`` and the gradient of their sum with respect to the policy's scores ``[B, 1+K]``."""
    policy = one.scores.policy.detach().clone().requires_grad_()
    losses = head(replace(one.scores, policy=policy), one.keep, one.beta)
    if not losses.requires_grad:
        return losses, torch.zeros_like(policy)
    (slope,) = torch.autograd.grad(losses.sum(), policy, allow_unused=True)
    return losses.detach(), torch.zeros_like(policy) if slope is None else slope


def _shape_and_type(head: Loss, one: Case) -> None:
    losses, slope = gradient(head, one)
    b = len(one.keep)
    assert losses.shape == (b,), f"a loss of each row: shape {tuple(losses.shape)}, expected ({b},)"
    assert losses.dtype == torch.float64, f"float64 scores give float64 losses, not {losses.dtype}"
    assert losses.isfinite().all(), f"losses are finite: {losses.tolist()}"
    assert slope.isfinite().all(), "gradients are finite"
    if "negatives" in head.needs:
        empty = ~one.keep.any(-1)
        assert (losses[empty] == 0).all(), "a row without kept negatives has loss 0"
        assert (slope[empty] == 0).all(), "a row without kept negatives has no gradient"


def _repeatable(head: Loss, one: Case) -> None:
    given = (one.scores.policy, one.keep, one.beta)
    before = [t.clone() for t in given]
    first, second = (gradient(head, one)[0] for _ in range(2))
    assert torch.equal(first, second), "calling twice gives the same loss: move running state in after_step"
    assert all(torch.equal(old, new) for old, new in zip(before, given, strict=True)), "the inputs are not changed"


def _left_out(head: Loss, one: Case) -> None:
    losses, slope = gradient(head, one)
    assert (slope[:, 1:][~one.keep] == 0).all(), "a negative that is not kept has exactly zero gradient"
    for junk in (float("nan"), float("inf"), -1e30):
        policy = one.scores.policy.clone()
        policy[:, 1:] = torch.where(one.keep, policy[:, 1:], junk)
        other, other_slope = gradient(head, one.with_policy(policy))
        assert torch.equal(losses, other), f"a negative that is not kept has no influence, even when it is {junk}"
        assert torch.equal(slope, other_slope), f"nor on gradients, even when it is {junk}"


def _order(head: Loss, one: Case) -> None:
    order = torch.arange(one.keep.shape[1]).flip(0)
    losses, slope = gradient(head, one)
    turned, turned_slope = gradient(head, permuted(one, order))
    assert torch.allclose(losses, turned, rtol=1e-9, atol=1e-12), "the order of negatives does not change the loss"
    assert torch.allclose(slope[:, 1:][:, order], turned_slope[:, 1:], rtol=1e-8, atol=1e-10), (
        "the gradient moves with its negative"
    )


def _rows(head: Loss, one: Case) -> None:
    if "whole_batch" in head.needs:
        return
    losses, _ = gradient(head, one)
    for i in range(len(one.keep)):
        alone, _ = gradient(head, one.rows(torch.tensor([i])))
        assert torch.allclose(alone, losses[i : i + 1], rtol=1e-12), (
            "a row's loss depends on that row alone (else declare the need `whole_batch`)"
        )


def _value_at_zero(head: Loss, one: Case) -> None:
    if not isinstance(head, AtZero):
        return
    ref = one.scores.policy.clone()
    scores = replace(one.scores, ref=ref, mismatched=torch.zeros(len(ref), dtype=ref.dtype))
    losses = head(scores, one.keep, one.beta)
    expected = head.at_zero(one.keep, one.beta)
    assert expected.shape == losses.shape, "at_zero gives a value of each row"
    assert torch.allclose(losses, expected.to(losses.dtype), rtol=1e-9, atol=1e-12), (
        f"at_zero is the loss at policy = reference: {expected.tolist()} against {losses.tolist()}"
    )


def _extreme(head: Loss, sign: float, dtype: torch.dtype) -> None:
    one = case(2, 3, masked=False, dtype=dtype)
    high, low = (0.0, -1e4) if sign > 0 else (-1e4, 0.0)
    policy = torch.full((2, 4), low, dtype=dtype)
    policy[:, 0] = high
    # the second row mixes both ends among its negatives
    policy[1, 1:] = torch.tensor([0.0, -1e4, -1.0], dtype=dtype)
    scores = replace(one.scores, ref=torch.full((2, 4), -5.0, dtype=dtype), tokens=torch.ones(2, 4, dtype=torch.long))
    losses, slope = gradient(head, replace(one, scores=replace(scores, policy=policy)))
    assert losses.dtype == torch.float32, f"{dtype} scores are computed in float32, not {losses.dtype}"
    assert losses.isfinite().all(), f"finite at margins of {sign * 1e4:g} in {dtype}: {losses.tolist()}"
    assert slope.isfinite().all(), f"finite gradient at margins of {sign * 1e4:g} in {dtype}: {slope.tolist()}"
