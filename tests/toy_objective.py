"""A sampler and two losses small enough to check by hand."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from polo.data import Rows
from polo.randomness import RowRandom
from polo.scores import Draw, Scores


class FirstK:
    """Draws the items that follow the target; every third row gets none, so that counting matters."""

    def draw(self, rows: Rows, rng: RowRandom, peek: object) -> Draw:
        items = (torch.from_numpy(rows.target)[:, None] + torch.arange(1, 5)) % 40
        valid = torch.from_numpy(rows.id % 3 != 0)[:, None].expand(-1, 4).clone()
        return Draw(items, valid)

    def keep(self, scores: Scores, rng: RowRandom, progress: float) -> Tensor:
        return scores.valid_rejected


@dataclass(frozen=True)
class Pairs:
    """Mean over kept pairs of softplus(-(ratio_w - ratio_j)): row by row."""

    needs: frozenset[str] = frozenset({"negatives"})

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        margin = scores.log_ratio[:, :1] - scores.log_ratio[:, 1:]
        loss = torch.where(keep, torch.nn.functional.softplus(-beta * margin), torch.zeros_like(margin))
        return loss.sum(dim=1) / keep.sum(dim=1).clamp_min(1)


@dataclass(frozen=True)
class Centred(Pairs):
    """Pairs whose margins are taken against the batch's mean margin: needs all rows at once."""

    needs: frozenset[str] = frozenset({"negatives", "whole_batch"})

    def __call__(self, scores: Scores, keep: Tensor, beta: Tensor) -> Tensor:
        margin = scores.log_ratio[:, :1] - scores.log_ratio[:, 1:]
        mean = torch.where(keep, margin, torch.zeros_like(margin)).sum() / keep.sum()
        return Pairs()(replace(scores, policy=scores.policy - mean * (scores.policy != 0)), keep, beta) + mean**2
