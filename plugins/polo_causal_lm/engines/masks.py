"""Which layers look how far back, and 4-D attention masks in the form that a model takes. Knows configs and shapes.

Three ways to go wrong without an error, all guarded here: a layer with a sliding window that is given a full mask; a
boolean mask under ``eager`` attention, which adds it as 0 and 1; and no mask at all, which transformers takes for
packed sequences when position ids restart.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from jaxtyping import Bool, Int
from torch import Tensor

#: kinds of layers whose mask is known: full attention and a window
KNOWN_LAYERS = ("full_attention", "sliding_attention")


def layer_windows(config: Any) -> dict[str, int | None] | None:
    """Window of each kind of layer (``None``: unlimited), or ``None`` if the model has layers of another kind.

    A config without ``layer_types`` has one kind of layer, called ``full_attention`` here whatever its window.

    Example:
        >>> from types import SimpleNamespace
        >>> layer_windows(SimpleNamespace(layer_types=["sliding_attention", "full_attention"], sliding_window=16))
        {'full_attention': None, 'sliding_attention': 16}
        >>> layer_windows(SimpleNamespace(sliding_window=8))
        {'full_attention': 8}
        >>> layer_windows(SimpleNamespace(layer_types=["linear_attention"])) is None
        True
    """
    window = getattr(config, "sliding_window", None)
    if getattr(config, "use_sliding_window", True) is False:
        window = None
    types = getattr(config, "layer_types", None)
    if not types:
        return {"full_attention": window}
    if not set(types) <= set(KNOWN_LAYERS):
        return None
    return {kind: (window if kind == "sliding_attention" else None) for kind in sorted(set(types))}


def reaches(windows: Mapping[str, int | None], longest: int) -> bool:
    """Whether every layer sees back over ``longest`` tokens, so that windows change nothing."""
    return all(window is None or window >= longest for window in windows.values())


def model_mask(
    allowed: Bool[Tensor, "b s s"],
    positions: Int[Tensor, "b s"],
    windows: Mapping[str, int | None],
    config: Any,
    dtype: torch.dtype,
) -> Tensor | dict[str, Tensor]:
    """The mask in the form that the model takes.

    Args:
        allowed: True where a query (second axis) may attend to a key (third), windows not regarded.
        positions: position ids; windows are measured on them, since titles of one row share positions.
        windows: of each kind of layer, from :func:`layer_windows`.
        config: the model's config; ``eager`` attention takes additive masks, others boolean ones.
        dtype: of the model, for additive masks.

    Returns:
        ``[b, 1, s, s]``, or one for each kind of layer where kinds differ.
    """
    distance = positions[:, :, None] - positions[:, None, :]
    additive = config._attn_implementation == "eager"  # noqa: SLF001 - the only place where transformers keeps it

    def one(window: int | None) -> Tensor:
        mask = allowed if window is None else allowed & (distance < window)
        mask = mask[:, None]
        if not additive:
            return mask
        return torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)

    if len(windows) == 1:
        return one(next(iter(windows.values())))
    return {kind: one(window) for kind, window in windows.items()}
