"""What samplers look at in a check: fixed scores of (row, item) in place of a policy's."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo.data import PAD, Ragged, Rows
from polo.protocols import Drawn, Top
from polo.randomness import RowRandom
from polo.scores import Draw, Scores


def peek(rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
    """A stand-in for the policy: a fixed score of each (row, item), between -20 and 0."""
    rng = RowRandom("peek")
    scores = [[-20 * float(rng.uniform(np.array([r * 1009 + int(i)]), 1)[0, 0]) for i in line]
              for r, line in zip(rows.id.tolist(), items.tolist(), strict=True)]  # fmt: skip
    return torch.tensor(scores, dtype=torch.float64).reshape(items.shape)


class PeekAll:
    """The same stand-in for a policy that finds the best of ``n_items`` items itself."""

    def __init__(self, n_items: int) -> None:
        self._n_items = n_items

    def __call__(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        return peek(rows, items)

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None) -> Top:
        scores = peek(rows, torch.arange(self._n_items).expand(len(rows), -1)).numpy().copy()
        if without is not None:
            scores[np.repeat(np.arange(len(rows)), without.lengths), without.items] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, order, axis=1)
        there = np.isfinite(best)
        return Top(np.where(there, order, PAD), best, np.ones_like(there))

    def draw_items(self, rows: Rows, k: int, rng: RowRandom, *, without: Ragged | None = None) -> Drawn:
        scores = (
            peek(rows, torch.arange(self._n_items).expand(len(rows), -1)).numpy() / 10
        )  # no draw is next to certain
        if without is not None:
            scores[np.repeat(np.arange(len(rows)), without.lengths), without.items] = -np.inf
        logq = scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))
        key = logq - np.log(-np.log(np.maximum(rng.uniform(rows.id, self._n_items), 2.0**-54)))
        order = np.argsort(-key, axis=1, kind="stable")[:, :k]
        drawn = np.take_along_axis(logq, order, axis=1)
        there = np.isfinite(drawn)
        return Drawn(np.where(there, order, PAD), np.where(there, drawn, 0.0), np.isfinite(logq).sum(axis=1))


def scores_of(rows: Rows, draw: Draw) -> Scores:
    """Scores of a draw by :func:`peek`, the reference's half as large, with junk where the draw is not valid."""
    items, valid = draw.beside(rows)
    policy = torch.where(valid, peek(rows, items), torch.nan)
    return Scores.of_draw(rows, draw, policy, ref=policy / 2)
