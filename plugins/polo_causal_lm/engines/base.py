"""What the engines share: the layout they hand to the model, and the model's body and head. Knows no layout itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from polo_causal_lm.text import Encoded

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True)
class Scored:
    """Which hidden states are turned into logits, and which of those log-probabilities make up which score.

    Args:
        states: ``[R]`` flat index of the hidden states that predict something.
        state: ``[M]`` for each scored token, which of the R states predicts it; ascending.
        token: ``[M]`` id of the scored token.
        slots: ``[B, n, L]`` for each score the scored tokens it sums over, padded with M.
    """

    states: Int[Tensor, " r"]
    state: Int[Tensor, " m"]
    token: Int[Tensor, " m"]
    slots: Int[Tensor, "b n length"]


@dataclass(frozen=True)
class Layout:
    """One forward pass as tensors on the model's device.

    Args:
        ids: token ids fed, ``[rows, width]``.
        positions: position ids, ``[rows, width]``.
        mask: 4-D attention mask, or one for each kind of layer, or a 2-D padding mask; as the model takes it.
        scored: where scores come from.
        extra: further arguments of the model's forward.
    """

    ids: Int[Tensor, "rows width"]
    positions: Int[Tensor, "rows width"]
    mask: Tensor | Mapping[str, Tensor]
    scored: Scored
    extra: Mapping[str, Any] = field(default_factory=dict)


@runtime_checkable
class Engine(Protocol):
    """One way to score."""

    name: str

    def layout(self, encoded: Encoded, device: torch.device) -> Layout:
        """Lays out token ids; no gradient, no model."""

    def scores(self, model: nn.Module, layout: Layout) -> Float[Tensor, "b n"]:
        """Sums of log-probabilities."""

    def cost(self, prompts: IntArray, titles: float, n: int) -> IntArray:
        """Flat tokens of rows with ``prompts [B]`` prompt tokens and n titles of ``titles`` tokens each."""


@dataclass
class Picks:
    """Collects scored tokens while an engine lays out its rows; makes a :class:`Scored` of them."""

    batch: int
    n: int
    states: list[int] = field(default_factory=list)
    state: list[int] = field(default_factory=list)
    token: list[int] = field(default_factory=list)
    score: list[int] = field(default_factory=list)

    def prompt(self, place: int, row: int, titles: Sequence[IntArray]) -> None:
        """The hidden state at ``place`` predicts the first token of all titles of ``row``."""
        for j, title in enumerate(titles):
            self._add(len(self.states), int(title[0]), row * self.n + j)
        self.states.append(place)

    def title(self, place: int, row: int, column: int, title: IntArray) -> None:
        """The hidden states from ``place`` on predict the tokens of one title but the first."""
        for offset, token in enumerate(title[1:]):
            self._add(len(self.states), int(token), row * self.n + column)
            self.states.append(place + offset)

    def _add(self, state: int, token: int, score: int) -> None:
        self.state.append(state)
        self.token.append(token)
        self.score.append(score)

    def done(self, device: torch.device) -> Scored:
        """Everything collected, on ``device``."""
        score = np.array(self.score, dtype=np.int64)
        order = np.argsort(score, kind="stable")
        lengths = np.bincount(score, minlength=self.batch * self.n)
        slots = np.full((self.batch * self.n, int(lengths.max(initial=1))), len(score))
        column = np.arange(len(score)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        slots[score[order], column] = order
        return Scored(
            torch.tensor(self.states, device=device),
            torch.tensor(self.state, device=device),
            torch.tensor(self.token, device=device),
            torch.from_numpy(slots.reshape(self.batch, self.n, -1)).to(device),
        )


def causal_lm(model: nn.Module) -> Any:
    """The transformers model inside a peft model (adapters stay in place)."""
    return model.get_base_model() if hasattr(model, "get_base_model") else model


def hidden_states(model: nn.Module, layout: Layout) -> Float[Tensor, "tokens hidden"]:
    """Last hidden states of all tokens fed, flat; the head is not applied."""
    body = causal_lm(model).get_decoder()
    output = body(
        input_ids=layout.ids,
        attention_mask=layout.mask,
        position_ids=layout.positions,
        use_cache=False,
        **layout.extra,
    )
    states: Tensor = output.last_hidden_state
    return states.flatten(0, 1)
