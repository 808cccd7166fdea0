"""What every loss head keeps."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from polo.protocols import AtZero, Loss
from polo.testing.cases import Case, case, cases, permuted
from polo.testing.laws.state import check_state
from polo.testing.losses import gradient
from polo.testing.subject import Subject

#: where every negative is kept
_PLAIN = case(5, 7, masked=False)


def gives_one_loss_a_row(subject: Subject) -> None:
    """One finite loss of each row, with a finite gradient; float64 scores give float64 losses."""
    head: Loss = subject.new()
    for one in cases():
        losses, slope = gradient(head, one)
        b = len(one.keep)
        assert losses.shape == (b,), f"a loss of each row: shape {tuple(losses.shape)}, expected ({b},)"
        assert losses.dtype == torch.float64, f"float64 scores give float64 losses, not {losses.dtype}"
        assert losses.isfinite().all(), f"losses are finite: {losses.tolist()}"
        assert slope.isfinite().all(), "gradients are finite"


def empty_rows_cost_nothing(subject: Subject) -> None:
    """A head that needs negatives gives a row without kept negatives loss 0, and no gradient."""
    head: Loss = subject.new()
    for one in cases() if "negatives" in head.needs else []:
        losses, slope = gradient(head, one)
        empty = ~one.keep.any(-1)
        assert (losses[empty] == 0).all(), "a row without kept negatives has loss 0"
        assert (slope[empty] == 0).all(), "a row without kept negatives has no gradient"


def repeats_itself(subject: Subject) -> None:
    """Calling twice gives the same loss: running state moves in `after_step`."""
    head: Loss = subject.new()
    for one in cases():
        first, second = (gradient(head, one)[0] for _ in range(2))
        assert torch.equal(first, second), "calling twice gives the same loss: move running state in after_step"


def changes_no_input(subject: Subject) -> None:
    """Scores, mask and beta are the same after a call."""
    head: Loss = subject.new()
    for one in cases():
        given = _tensors(one)
        before = [t.clone() for t in given]
        gradient(head, one)
        head(one.scores, one.keep, one.beta)
        same = all(torch.equal(old, new) for old, new in zip(before, given, strict=True))
        assert same, "the inputs are not changed"


def leaves_out_what_is_not_kept(subject: Subject) -> None:
    """A negative that is not kept has no influence and exactly zero gradient, even where it is NaN."""
    head: Loss = subject.new()
    for one in cases():
        losses, slope = gradient(head, one)
        assert (slope[:, 1:][~one.keep] == 0).all(), "a negative that is not kept has exactly zero gradient"
        for junk in (float("nan"), float("inf"), -1e30):
            policy = one.scores.policy.clone()
            policy[:, 1:] = torch.where(one.keep, policy[:, 1:], junk)
            other, other_slope = gradient(head, one.with_policy(policy))
            assert torch.equal(losses, other), f"a negative that is not kept has no influence, even when it is {junk}"
            assert torch.equal(slope, other_slope), f"nor on gradients, even when it is {junk}"


def minds_no_order(subject: Subject) -> None:
    """The order of negatives does not change the loss, and the gradient moves with its negative."""
    head: Loss = subject.new()
    for one in cases():
        order = torch.arange(one.keep.shape[1]).flip(0)
        losses, slope = gradient(head, one)
        turned, turned_slope = gradient(head, permuted(one, order))
        assert torch.allclose(losses, turned, rtol=1e-9, atol=1e-12), "the order of negatives does not change the loss"
        moved = torch.allclose(slope[:, 1:][:, order], turned_slope[:, 1:], rtol=1e-8, atol=1e-10)
        assert moved, "the gradient moves with its negative"


def rows_stand_alone(subject: Subject) -> None:
    """A row's loss depends on that row alone, unless the head needs `whole_batch`."""
    head: Loss = subject.new()
    for one in [] if "whole_batch" in head.needs else cases():
        losses, _ = gradient(head, one)
        for i in range(len(one.keep)):
            alone, _ = gradient(head, one.rows(torch.tensor([i])))
            assert torch.allclose(alone, losses[i : i + 1], rtol=1e-12), (
                "a row's loss depends on that row alone (else declare the need `whole_batch`)"
            )


def knows_its_value_at_zero(subject: Subject) -> None:
    """`at_zero`, where there is one, is the loss at policy = reference."""
    head = subject.new()
    for one in cases() if isinstance(head, AtZero) else []:
        ref = one.scores.policy.clone()
        scores = replace(one.scores, ref=ref, mismatched=torch.zeros(len(ref), dtype=ref.dtype))
        losses = head(scores, one.keep, one.beta)
        expected = head.at_zero(one.keep, one.beta)
        assert expected.shape == losses.shape, "at_zero gives a value of each row"
        assert torch.allclose(losses, expected.to(losses.dtype), rtol=1e-9, atol=1e-12), (
            f"at_zero is the loss at policy = reference: {expected.tolist()} against {losses.tolist()}"
        )


def is_finite_at_the_ends(subject: Subject) -> None:
    """Loss and gradient are finite at margins of +-1e4, in float32 for half types."""
    head: Loss = subject.new()
    for dtype in (torch.float32, torch.bfloat16):
        for sign in (-1.0, 1.0):
            _extreme(head, sign, dtype)


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


def _tensors(one: Case) -> list[Tensor]:
    s = one.scores
    return [t for t in (s.policy, s.ref, s.tokens, s.valid, s.mismatched, one.keep, one.beta) if t is not None]


def state_is_complete(subject: Subject) -> None:
    """What running state there is goes through a checkpoint: one that loads it goes on alike."""
    check_state(subject, lambda head: gradient(head, _PLAIN)[0])


LAWS = (
    gives_one_loss_a_row,
    empty_rows_cost_nothing,
    repeats_itself,
    changes_no_input,
    leaves_out_what_is_not_kept,
    minds_no_order,
    rows_stand_alone,
    knows_its_value_at_zero,
    is_finite_at_the_ends,
    state_is_complete,
)
