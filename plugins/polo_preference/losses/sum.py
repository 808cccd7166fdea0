"""A weighted sum of heads."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from polo import AfterStep, AtZero, BeforeStep, Context, Loss, Need, Scores, Stateful
from polo_preference.options.losses import SumOptions
from polo_preference.tensors import where_any


class LossAtZero(Loss, AtZero, Protocol):
    """A head that knows its value when policy = reference."""


class Sum:
    """``L = sum_i weight_i L_i``; 0 for a row without negatives if any term needs them.

    Needs what its terms need. A term's state is saved under its place in the list.
    """

    def __init__(self, terms: Sequence[tuple[float, Loss]]) -> None:
        self._terms = terms
        self.needs: frozenset[Need] = frozenset().union(*(head.needs for _, head in terms))

    def __call__(self, scores: Scores, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        total = torch.stack([weight * head(scores, keep, beta) for weight, head in self._terms]).sum(0)
        return where_any(total, keep) if "negatives" in self.needs else total

    def before_step(self, step: int) -> None:
        for _, head in self._terms:
            if isinstance(head, BeforeStep):
                head.before_step(step)

    def after_step(self, step: int) -> None:
        for _, head in self._terms:
            if isinstance(head, AfterStep):
                head.after_step(step)

    def state_dict(self) -> dict[str, Any]:
        return {
            f"{i}.{key}": value
            for i, (_, head) in enumerate(self._terms)
            if isinstance(head, Stateful)
            for key, value in head.state_dict().items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        for i, (_, head) in enumerate(self._terms):
            if isinstance(head, Stateful):
                prefix = f"{i}."
                head.load_state_dict({k.removeprefix(prefix): v for k, v in state.items() if k.startswith(prefix)})


class SumAtZero(Sum):
    """A sum whose terms all know their value when policy = reference."""

    def __init__(self, terms: Sequence[tuple[float, LossAtZero]]) -> None:
        super().__init__(terms)
        self._known = terms

    def at_zero(self, keep: Bool[Tensor, "b k"], beta: Float[Tensor, "b k"]) -> Float[Tensor, " b"]:
        return torch.stack([w * head.at_zero(keep, beta) for w, head in self._known]).sum(0)


def build(options: SumOptions, context: Context) -> Sum:
    """The sum of the terms that the options name."""
    terms = [(term.weight, context.build(term.loss)) for term in options.of]
    return (SumAtZero if all(isinstance(head, AtZero) for _, head in terms) else Sum)(terms)
