"""What every beta schedule keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import torch

from polo.protocols import Beta
from polo.testing.cases import Case, case, cases, permuted
from polo.testing.laws.state import check_state
from polo.testing.subject import Subject

_MOMENTS = (0.0, 0.5, 1.0)
#: where every negative is kept
_PLAIN = case(5, 7, masked=False)


def gives_one_number_a_negative(subject: Subject) -> None:
    """A number for each negative, in float32 or wider."""
    beta: Beta = subject.new()
    for one, progress in _calls():
        out = beta(one.scores, one.keep, progress)
        shape = tuple(one.keep.shape)
        assert out.shape == shape, f"a beta of each negative: {tuple(out.shape)}, expected {shape}"
        assert out.dtype in (torch.float32, torch.float64), f"float32 or wider, not {out.dtype}"


def is_finite_and_not_negative(subject: Subject) -> None:
    """Where a negative is kept, its beta is finite and at least 0."""
    beta: Beta = subject.new()
    for one, progress in _calls():
        kept = beta(one.scores, one.keep, progress)[one.keep]
        assert kept.isfinite().all(), "finite where kept"
        assert (kept >= 0).all(), "at least 0 where kept"


def lets_no_gradient_through(subject: Subject) -> None:
    """No gradient flows through beta, whatever it is given."""
    beta: Beta = subject.new()
    for one, progress in _calls():
        scores = replace(one.scores, policy=one.scores.policy.clone().requires_grad_())
        assert not beta(scores, one.keep, progress).requires_grad, "no gradient flows through beta"


def repeats_itself(subject: Subject) -> None:
    """Calling twice gives the same beta: running state moves in `after_step`."""
    beta: Beta = subject.new()
    for one, progress in _calls():
        first, second = (beta(one.scores, one.keep, progress)[one.keep] for _ in range(2))
        assert torch.equal(first, second), "calling twice gives the same beta: move running state in after_step"


def changes_no_input(subject: Subject) -> None:
    """Scores and mask are the same after a call."""
    beta: Beta = subject.new()
    for one, progress in _calls():
        s = one.scores
        given = [t for t in (s.policy, s.ref, s.tokens, s.valid, one.keep) if t is not None]
        before = [t.clone() for t in given]
        beta(one.scores, one.keep, progress)
        assert all(map(torch.equal, before, given)), "the inputs are not changed"


def leaves_out_what_is_not_valid(subject: Subject) -> None:
    """A negative that is not valid has no influence on the others, even when it is NaN."""
    beta: Beta = subject.new()
    for one, progress in _calls():
        policy = one.scores.policy.clone()
        policy[:, 1:] = torch.where(one.scores.valid_rejected, policy[:, 1:], torch.nan)
        clean, junk = (beta(s, one.keep, progress)[one.keep] for s in (one.scores, one.with_policy(policy).scores))
        assert torch.equal(clean, junk), "what is not valid has no influence, even when it is NaN"


def moves_with_its_negative(subject: Subject) -> None:
    """A negative's beta moves with it when the order changes, unless the tag `by_column` takes this back."""
    beta: Beta = subject.new()
    for one in [] if subject.says("by_column") else cases():
        order = torch.arange(one.keep.shape[1]).flip(0)
        turned = permuted(one, order)
        here = torch.where(one.keep, beta(one.scores, one.keep, 0.5), 0.0)[:, order]
        there = torch.where(turned.keep, beta(turned.scores, turned.keep, 0.5), 0.0)
        assert torch.allclose(here, there, rtol=1e-9), "a negative's beta moves with it (else tag it `by_column`)"


def _calls() -> Iterator[tuple[Case, float]]:
    return ((one, progress) for one in cases() for progress in _MOMENTS)


def state_is_complete(subject: Subject) -> None:
    """What running state there is goes through a checkpoint: one that loads it goes on alike."""
    check_state(subject, lambda beta: beta(_PLAIN.scores, _PLAIN.keep, 0.5))


LAWS = (
    gives_one_number_a_negative,
    is_finite_and_not_negative,
    lets_no_gradient_through,
    repeats_itself,
    changes_no_input,
    leaves_out_what_is_not_valid,
    moves_with_its_negative,
    state_is_complete,
)
