"""The policy as samplers see it before they draw: without gradients and dropout. Knows policies; knows no sampler."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo.data import Ragged, Rows
from polo.model.passes import score_in_passes
from polo.protocols import Drawn, DrawsItems, Policy, Top, TopItems
from polo.randomness import RowRandom


class Looking:
    """Scores of chosen items; follows :class:`~polo.protocols.Peek`.

    Args:
        policy: its module may be replaced later.
        budget: flat tokens of one pass.
    """

    def __init__(self, policy: Policy, budget: int) -> None:
        self._policy, self._budget = policy, budget

    def __call__(self, rows: Rows, items: Int[Tensor, "b n"]) -> Float[Tensor, "b n"]:
        with self._evaluating():
            return score_in_passes(self._policy, rows, items, self._budget)

    @contextmanager
    def _evaluating(self) -> Iterator[None]:
        module = self._policy.module
        training = module.training
        module.eval()
        with torch.no_grad():
            yield
        module.train(training)


class LookingForTop(Looking):
    """The best items besides; follows :class:`~polo.protocols.PeekTop`."""

    def __init__(self, policy: Policy, finder: TopItems, budget: int) -> None:
        super().__init__(policy, budget)
        self._finder = finder

    def top_items(self, rows: Rows, k: int, *, without: Ragged | None = None) -> Top:
        with self._evaluating():
            return self._finder.top_items(rows, k, without=without)


class Drawing(Looking):
    """Draws by the policy's distribution besides; follows :class:`~polo.protocols.PeekDraw`."""

    def __init__(self, policy: Policy, drawer: DrawsItems, budget: int) -> None:
        super().__init__(policy, budget)
        self._drawer = drawer

    def draw_items(self, rows: Rows, k: int, rng: RowRandom, *, without: Ragged | None = None) -> Drawn:
        with self._evaluating():
            return self._drawer.draw_items(rows, k, rng, without=without)


class LookingForBoth(LookingForTop):
    """The best items, and draws."""

    def __init__(self, policy: Policy, finder: TopItems, drawer: DrawsItems, budget: int) -> None:
        super().__init__(policy, finder, budget)
        self._drawing = Drawing(policy, drawer, budget)

    def draw_items(self, rows: Rows, k: int, rng: RowRandom, *, without: Ragged | None = None) -> Drawn:
        return self._drawing.draw_items(rows, k, rng, without=without)


def looking(policy: Policy, budget: int) -> Looking:
    """What samplers peek with, as much as the policy offers."""
    if isinstance(policy, TopItems) and isinstance(policy, DrawsItems):
        return LookingForBoth(policy, policy, policy, budget)
    if isinstance(policy, DrawsItems):
        return Drawing(policy, policy, budget)
    return LookingForTop(policy, policy, budget) if isinstance(policy, TopItems) else Looking(policy, budget)
