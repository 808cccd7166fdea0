"""Layers compiled by ``torch.compile`` for flat rows without gradient. Knows layers and attention; knows no layout.

What lies between two attentions (norms, projections, adapters, rotation, feed-forward) is compiled with lengths left
open, so that a pass of any length runs the same code: nothing is compiled again for a batch, and no pass is padded up
to one of a few lengths. Attention itself is called as it is; its work differs from row to row.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from polo_causal_lm.engines.attention import FlatAttention

Forward = Callable[..., Any]


class Compiled:
    """Compiled forwards of a model's decoder layers, put in the place of their own while they are wanted.

    Layers of one kind share one compiled forward. Compiling happens at the first pass and takes seconds to minutes.

    Args:
        lm: the transformers model; its layers have the forwards that they are to keep.
        backend: of ``torch.compile``.
    """

    def __init__(self, lm: Any, backend: str = "inductor") -> None:
        self._lm, self._backend = lm, backend
        self._made: dict[Forward, Forward] = {}
        self._attend = torch.compiler.disable(_attend)

    @contextmanager
    def layers(self) -> Iterator[None]:
        """Inside the block layers compute flat rows as compiled; other forwards stay what they are."""
        own = {layer: vars(layer).pop("forward", None) for layer in self._lm.get_decoder().layers}
        try:
            for layer, forward in own.items():
                eager = type(layer).forward if forward is None else forward.__func__
                layer.forward = types.MethodType(self._swapped(eager), layer)
            yield
        finally:
            for layer, forward in own.items():
                vars(layer).pop("forward", None)
                if forward is not None:
                    layer.forward = forward

    def _swapped(self, eager: Forward) -> Forward:
        if eager not in self._made:
            compiled = torch.compile(eager, dynamic=True, backend=self._backend)

            def forward(layer: Any, *args: Any, polo_attention: FlatAttention | None = None, **kwargs: Any) -> Any:
                if polo_attention is None:
                    return eager(layer, *args, **kwargs)
                return compiled(layer, *args, polo_attention=_Outside(polo_attention, self._attend), **kwargs)

            self._made[eager] = forward
        return self._made[eager]


class _Outside:
    """Attention that compiled code calls and does not look into."""

    def __init__(self, flat: FlatAttention, call: Callable[..., Tensor]) -> None:
        self.flat, self.last, self.call = flat, flat.last, call

    def attend(self, *given: Any) -> Tensor:
        return self.call(self.flat, False, *given)

    def attend_last(self, *given: Any) -> Tensor:
        return self.call(self.flat, True, *given)


def _attend(flat: FlatAttention, last: bool, *given: Any) -> Tensor:
    return flat.attend_last(*given) if last else flat.attend(*given)
