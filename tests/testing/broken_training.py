"""Samplers, betas and losses that break one law each."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import softplus

from polo import Draw
from polo.testing import small_splits
from polo.testing.stand_ins import StandInBeta, StandInLoss, StandInSampler
from tests.testing.broken import Table, broken

_LISTED = small_splits(lists=12)


def _drawing(change: Any) -> Any:
    return lambda self, rows, rng, peek: change(StandInSampler.draw(self, rows, rng, peek), rows)


def _first(value: Any) -> Any:
    """The first item of each row's draw is another one."""

    def change(draw: Draw, rows: Any) -> Draw:
        items = draw.items.clone()
        items[:, 0] = torch.as_tensor(value(rows, items))
        valid = draw.valid.clone()
        valid[:, 0] = True
        return Draw(items, valid)

    return _drawing(change)


class Steps:
    """Counts steps, and tells checkpoints how many there were."""

    steps = 0

    def after_step(self, step: int) -> None:
        self.steps += 1

    def state_dict(self) -> dict[str, Any]:
        return {"steps": self.steps}

    def load_state_dict(self, state: Any) -> None:
        self.steps = int(state["steps"])


class Counting(Steps, StandInSampler):
    """Draws other items after each step."""

    def draw(self, rows: Any, rng: Any, peek: Any) -> Draw:
        return super().draw(rows, rng.child(self.steps), peek)


def _calls(self: Any) -> int:
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls


def _spoil_rows(self: Any, rows: Any, rng: Any, peek: Any) -> Draw:
    draw = StandInSampler.draw(self, rows, rng, peek)
    rows.history[:, 0] = -1
    return draw


SAMPLERS: Table = {
    "draws_items": broken(
        StandInSampler,
        draw=_drawing(lambda draw, rows: Draw(draw.items.int(), draw.valid)),
    ),
    "draws_from_the_catalogue": broken(StandInSampler, "draws_nothing_known", draw=_first(lambda rows, items: 60)),
    "draws_different_items": broken(StandInSampler, draw=_first(lambda rows, items: items[:, 1])),
    "draws_no_target": broken(StandInSampler, "draws_nothing_known", draw=_first(lambda rows, items: rows.target)),
    "draws_nothing_known": broken(StandInSampler, draw=_first(lambda rows, items: rows.history[:, -1])),
    "draws_within_lists": broken(
        StandInSampler,
        splits=_LISTED,
        draw=lambda self, rows, rng, peek: StandInSampler.draw(self, rows.with_candidates(None), rng, peek),
    ),
    "draws_alike_again": broken(
        StandInSampler,
        "rows_stand_alone",
        draw=lambda self, rows, rng, peek: StandInSampler.draw(self, rows, rng.child(_calls(self)), peek),
    ),
    "rows_stand_alone": broken(
        StandInSampler,
        draw=lambda self, rows, rng, peek: StandInSampler.draw(self, rows, rng.child(len(rows)), peek),
    ),
    "says_how_it_draws": broken(StandInSampler, k=3),
    "keeps_valid_ones": broken(
        StandInSampler, keep=lambda self, scores, rng, progress: torch.ones_like(scores.valid_rejected)
    ),
    "keeps_alike_again": broken(
        StandInSampler,
        keep=lambda self, scores, rng, progress: scores.valid_rejected & bool(_calls(self) % 2),
    ),
    "changes_no_input": broken(StandInSampler, draw=_spoil_rows),
    "state_is_complete": broken(Counting, load_state_dict=lambda self, state: None),
}


def _spoil(call: Any) -> Any:
    """Writes into what it was given, and does as it should besides."""

    def spoilt(self: Any, scores: Any, keep: Tensor, other: Any) -> Tensor:
        scores.tokens.add_(1)
        return call(self, scores, keep, other)

    return spoilt


class Growing(Steps, StandInBeta):
    """Grows with each step."""

    def __call__(self, scores: Any, keep: Tensor, progress: float) -> Tensor:
        return super().__call__(scores, keep, progress) + self.steps


BETAS: Table = {
    "gives_one_number_a_negative": broken(
        StandInBeta, __call__=lambda self, scores, keep, progress: torch.ones(keep.shape, dtype=torch.float16)
    ),
    "is_finite_and_not_negative": broken(
        StandInBeta, __call__=lambda self, scores, keep, progress: torch.full(keep.shape, -1.0)
    ),
    "lets_no_gradient_through": broken(
        StandInBeta,
        __call__=lambda self, scores, keep, progress: torch.where(keep, scores.rejected, 0.0) * 0 + 1,
    ),
    "repeats_itself": broken(
        StandInBeta,
        "leaves_out_what_is_not_valid moves_with_its_negative",
        __call__=lambda self, scores, keep, progress: torch.full(keep.shape, 1.0 + _calls(self)),
    ),
    "changes_no_input": broken(StandInBeta, __call__=_spoil(StandInBeta.__call__)),
    "leaves_out_what_is_not_valid": broken(
        StandInBeta,
        __call__=lambda self, scores, keep, progress: scores.rejected.detach().sum(1)[:, None].abs() + 0 * keep,
    ),
    "moves_with_its_negative": broken(
        StandInBeta,
        __call__=lambda self, scores, keep, progress: torch.arange(keep.shape[1]).float().expand(keep.shape),
    ),
    "state_is_complete": broken(Growing, load_state_dict=lambda self, state: None),
}


def _all_rows(self: Any, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
    losses = StandInLoss.__call__(self, scores, keep, beta)
    return torch.where(keep.any(-1), losses - losses.mean().detach(), 0.0)


def _by_place(self: Any, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
    place = torch.arange(1, keep.shape[1] + 1)
    return StandInLoss.__call__(self, scores, keep, beta * place)


def _overflows(self: Any, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
    ratio = scores.log_ratio
    margin = torch.where(keep, torch.where(keep, ratio[:, 1:], 0.0) - ratio[:, :1], 0.0)
    return torch.where(keep, (1 + (beta * margin).exp()).log(), 0.0).sum(-1)


def _masked_late(self: Any, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
    ratio = scores.log_ratio
    return (softplus(beta * (ratio[:, 1:] - ratio[:, :1])) * keep).sum(-1) / keep.sum(-1).clamp(min=1)


class Warming(Steps, StandInLoss):
    """Weighs more with each step."""

    def __call__(self, scores: Any, keep: Tensor, beta: Tensor) -> Tensor:
        return super().__call__(scores, keep, beta) * (1 + self.steps)


LOSSES: Table = {
    "gives_one_loss_a_row": broken(
        StandInLoss,
        "rows_stand_alone",
        needs=frozenset(),
        __call__=lambda self, scores, keep, beta: StandInLoss.__call__(self, scores, keep, beta).mean()[None],
    ),
    "empty_rows_cost_nothing": broken(
        StandInLoss, __call__=lambda self, scores, keep, beta: StandInLoss.__call__(self, scores, keep, beta) + 1
    ),
    "repeats_itself": broken(
        StandInLoss,
        "leaves_out_what_is_not_kept minds_no_order rows_stand_alone",
        __call__=lambda self, scores, keep, beta: StandInLoss.__call__(self, scores, keep, beta) * _calls(self),
    ),
    "changes_no_input": broken(StandInLoss, __call__=_spoil(StandInLoss.__call__)),
    "leaves_out_what_is_not_kept": broken(StandInLoss, __call__=_masked_late),
    "minds_no_order": broken(StandInLoss, __call__=_by_place),
    "rows_stand_alone": broken(StandInLoss, __call__=_all_rows),
    "knows_its_value_at_zero": broken(StandInLoss, at_zero=lambda self, keep, beta: keep.any(-1).to(beta.dtype)),
    "is_finite_at_the_ends": broken(StandInLoss, __call__=_overflows),
    "state_is_complete": broken(Warming, load_state_dict=lambda self, state: None),
}
