"""A local plugin with what a stage needs besides its objective: made-up rows, and two very small policies."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
from torch import Tensor

from polo import PAD, Component, Context, Ragged, Rows, Splits, Top, hookimpl
from polo.testing import small_splits
from tests.toy_policy import ToyPolicy


class Small:
    def __init__(self, options: None, context: Context) -> None: ...

    def load(self) -> Splits:
        return small_splits(users=8, items=24, history=3)


class Table(ToyPolicy):
    def __init__(self, options: None, context: Context) -> None:
        assert context.splits is not None
        super().__init__(items=len(context.splits.items), width=4)
        self._n_items = len(context.splits.items)


class LogProb(Table):
    """Finds its best items by scoring all."""

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None, nodes: int | None = None) -> Top:
        import torch

        with torch.no_grad():
            scores = self.score(rows, torch.arange(self._n_items).expand(len(rows), -1)).double().numpy().copy()
        if without is not None:
            scores[np.repeat(np.arange(len(rows)), without.lengths), without.items] = -np.inf
        order = np.argsort(-scores, axis=1, kind="stable")[:, :k]
        best = np.take_along_axis(scores, order, axis=1)
        return Top(np.where(np.isfinite(best), order, PAD), best, np.isfinite(best))


class Similarity(Table):
    """Inner products of the last shown item's vector."""

    unit: Literal["similarity"] = "similarity"  # type: ignore[assignment]

    def score(self, rows: Rows, items: Tensor) -> Tensor:
        import torch

        table: Any = self.module
        last = torch.from_numpy(rows.history[:, -1])
        assert bool((last != PAD).all())
        return torch.einsum("bd,bnd->bn", table.inside(last), table.outside(items))


@hookimpl
def polo_data_sources():
    return [Component(name="small", build=":Small", summary="made up")]


@hookimpl
def polo_policies():
    return [
        Component(name="toy_logprob", build=":LogProb", summary="log-probabilities"),
        Component(name="toy_similarity", build=":Similarity", summary="similarities"),
    ]
