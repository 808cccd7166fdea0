"""What the engines share: the layout they hand to the model, and the model's body and head. Knows no layout itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from polo import FloatArray, IntArray, sent
from polo_causal_lm.text import Encoded


@dataclass(frozen=True)
class Scored:
    """Which hidden states are turned into logits, and which of those log-probabilities make up which score.

    Args:
        states: ``[R]`` flat index of the hidden states that predict something.
        state: ``[M]`` for each scored token, which of the R states predicts it; ascending.
        token: ``[M]`` id of the scored token.
        slots: ``[B, n, L]`` for each score the scored tokens it sums over, padded with M.
        distinct: ``[M]`` False where the same token of the same state is scored before (titles may begin alike).
    """

    states: Int[Tensor, " r"]
    state: Int[Tensor, " m"]
    token: Int[Tensor, " m"]
    slots: Int[Tensor, "b n length"]
    distinct: Bool[Tensor, " m"]


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

    def cost(self, prompts: IntArray, titles: float | FloatArray, n: int) -> IntArray:
        """Flat tokens of rows with ``prompts [B]`` prompt tokens and n titles of ``titles`` tokens each, on average."""


def title_scores(
    titles: Sequence[Sequence[IntArray]], places: IntArray, shape: tuple[int, int], device: torch.device
) -> Scored:
    """What a row of titles behind one prompt is scored from, for every layout that shares the prompt.

    A row has one state that predicts the first token of all its titles (the prompt's last), then one for every further
    title token (the token before it), title by title.

    Args:
        titles: for each prompt the titles behind it, with the end token.
        places: flat index of all these states, prompt by prompt.
        shape: ``(B, n)`` of the scores.
        device: where tensors are put.

    Example (titles [5, 2] and [6, 7, 2] behind one prompt whose last token stands at place 3):
        >>> titles = [[np.array([5, 2]), np.array([6, 7, 2])]]
        >>> scored = title_scores(titles, np.array([3, 4, 5, 6]), (1, 2), torch.device("cpu"))
        >>> scored.state.tolist(), scored.token.tolist(), scored.slots.tolist()
        ([0, 0, 1, 2, 3], [5, 6, 2, 7, 2], [[[0, 2, 5], [1, 3, 4]]])
    """
    flat = [title for row in titles for title in row]
    per_row = np.array([len(row) for row in titles])
    lengths = np.array([len(title) for title in flat])
    total = int(lengths.sum())
    title = np.repeat(np.arange(len(flat)), lengths)
    offset = np.arange(total) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    row = np.repeat(np.arange(len(titles)), per_row)[title]
    # Without the first token of each title, and with one state for all of them, a token's state is the one before it.
    further = np.cumsum(offset > 0)
    state = np.where(offset == 0, 0, further + row)
    first = np.searchsorted(row, np.arange(len(titles)))
    start = np.where(np.arange(len(titles)) == 0, 0, further[first] + np.arange(len(titles)))
    state = np.where(offset == 0, start[row], state)
    order = np.argsort(state, kind="stable")
    slots = np.full((len(flat), int(lengths.max(initial=1))), total)
    rank = np.empty(total, np.int64)
    rank[order] = np.arange(total)
    slots[title, offset] = rank
    token = np.concatenate(flat)[order] if flat else np.empty(0, np.int64)
    distinct = np.zeros(total, np.bool_)
    distinct[np.unique(state[order] << 32 | token, return_index=True)[1]] = True
    on = (places, state[order], token, slots.reshape(*shape, -1), distinct)
    return Scored(*(sent(x, device) for x in on))


def causal_lm(model: nn.Module) -> Any:
    """The transformers model inside a peft model (adapters stay in place)."""
    base: Callable[[], Any] | None = getattr(model, "get_base_model", None)
    return base() if base is not None else model


def hidden_states(model: nn.Module, layout: Layout) -> Float[Tensor, "tokens hidden"]:
    """Last hidden states, flat; the head is not applied. Of all tokens fed, or of the scored ones only (split)."""
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
