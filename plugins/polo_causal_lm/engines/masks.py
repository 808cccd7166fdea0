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


#: parts of the names of config fields that speak of how far a layer sees
_SPEAKS_OF_REACH = ("window", "local", "chunk", "sparse", "attention_layers", "attention_types", "dilat", "stride")
#: such fields that are read above, or that are about rotations, feed-forward parts and experts
_UNDERSTOOD = frozenset(
    {"sliding_window", "use_sliding_window", "max_window_layers", "sliding_window_pattern", "_sliding_window_pattern",
     "rope_local_base_freq", "chunk_size_feed_forward", "num_local_experts", "decoder_sparse_step"}
)  # fmt: skip


def unknown_reach(config: Any) -> str:
    """What the config says of how far layers see that is not understood here; empty if nothing.

    Example (GPT-Neo: every second layer sees ``window_size`` tokens):
        >>> from types import SimpleNamespace
        >>> unknown_reach(SimpleNamespace(window_size=256, hidden_size=32))
        'its config says `window_size`, which is not known to leave attention full'
        >>> unknown_reach(SimpleNamespace(sliding_window=8, num_local_experts=4))
        ''
    """
    found = sorted(
        name
        for name, value in vars(config).items()
        if value and name not in _UNDERSTOOD and any(word in name for word in _SPEAKS_OF_REACH)
    )
    names = ", ".join(f"`{name}`" for name in found)
    return f"its config says {names}, which is not known to leave attention full" if found else ""


def length_limit(config: Any) -> int | None:
    """Most tokens up to which a token's score does not depend on the longest row of its pass; ``None``: no such limit.

    Rotations of kind ``longrope`` change for a whole pass once one of its rows is longer than
    ``original_max_position_embeddings``; those of kind ``dynamic`` once one is longer than the model's own limit.

    Example:
        >>> from types import SimpleNamespace
        >>> turned = {"rope_type": "longrope", "original_max_position_embeddings": 64}
        >>> length_limit(SimpleNamespace(rope_parameters=turned))
        64
        >>> length_limit(SimpleNamespace(rope_parameters={"rope_type": "default"})) is None
        True
    """
    said = getattr(config, "rope_parameters", None) or getattr(config, "rope_scaling", None) or {}
    kinds = [said] if "rope_type" in said or "type" in said else [one for one in said.values() if isinstance(one, dict)]
    limits = []
    for kind in kinds:
        name = kind.get("rope_type", kind.get("type", "default"))
        if name == "longrope" or "dynamic" in str(name):
            own = kind.get("original_max_position_embeddings") or getattr(
                config, "original_max_position_embeddings", None
            )
            limits.append(config.max_position_embeddings if own is None or name != "longrope" else own)
    return min(limits, default=None)


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
