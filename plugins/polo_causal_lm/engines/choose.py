"""Which engine a model gets, and why. Knows what each needs of a model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import torch

from polo import InputError
from polo_causal_lm.engines.base import Engine, causal_lm
from polo_causal_lm.engines.fields import unknown_fields
from polo_causal_lm.engines.lowrank import join_adapters
from polo_causal_lm.engines.masks import layer_windows, reaches, unknown_reach
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.norm import join_norms
from polo_causal_lm.engines.packed import Packed
from polo_causal_lm.engines.split import Split, enable_split

Wanted = Literal["auto", "naive", "packed", "split"]
Tree = Literal["auto", "always", "never"]

#: most titles of a row beside one prompt where no gradient is needed
FEW = 64


def choose_engine(wanted: Wanted, model: torch.nn.Module, max_tokens: int) -> tuple[Engine, str]:
    """The engine and the reason, one sentence.

    Args:
        wanted: what the recipe asks for; ``auto`` takes ``split`` where it can, else ``packed``, else ``naive``;
            ``naive`` too for a model whose config says something that is not known to be harmless.
        model: the (peft) model.
        max_tokens: longest prompt with title, which decides whether sliding windows matter.

    Raises:
        InputError: if the recipe asks for an engine that the model rules out.
    """
    lm = causal_lm(model)
    config: Any = lm.config.get_text_config()
    windows = layer_windows(config)
    kinds = f"the model has layers of kinds {sorted(set(config.layer_types))}" if windows is None else ""
    against_packed = " and ".join(filter(None, (kinds, unknown_reach(config))))
    against_split = against_packed or _against_split(config, windows or {}, max_tokens)
    if wanted == "naive":
        return Naive(), "the recipe asks for it"
    if wanted == "auto" and not against_packed and (names := unknown_fields(lm, config)):
        # Not known to be wrong: whoever asks for an engine by name gets it, and the start-up check judges it.
        names = [f"`{name}`" for name in names]
        return Naive(), f"its code reads {', '.join(names)} of its config, which nobody has looked at yet"
    if wanted == "packed" or (wanted == "auto" and against_split):
        if against_packed:
            return _refuse_or_naive(wanted, against_packed)
        reason = "the recipe asks for it" if wanted == "packed" else f"`split` is ruled out: {against_split}"
        join_norms(lm)
        join_adapters(lm)
        return Packed(config, windows or {}, lm.dtype), reason
    if against_split:
        raise InputError(f"engine `split` is ruled out: {against_split}", where="policy.engine", fix="use `auto`")
    enable_split(lm)
    fits = "sdpa attention, no soft cap, no window shorter than max_tokens"
    return Split(), "the recipe asks for it" if wanted == "split" else fits


def slower_engines(engine: Engine, model: torch.nn.Module) -> list[Engine]:
    """What takes the place of an engine that the start-up check finds wrong, before ``naive``."""
    lm = causal_lm(model)
    config: Any = lm.config.get_text_config()
    windows = layer_windows(config)
    return [Packed(config, windows, lm.dtype)] if engine.name == Split.name and windows is not None else []


def choose_tree(wanted: Tree, engine: Engine, model: torch.nn.Module) -> tuple[bool, int, str]:
    """Whether long lists are scored as a tree where no gradient is needed, from how many titles on, and the reason.

    The rule is one number, :data:`FEW`. Beside one prompt, titles are kept apart by a mask over all pairs of their
    tokens, so time and memory of attention grow with the square of the list; those of the tree grow with its nodes. Up
    to 64 titles both took the same time, so short lists keep to the form of the training step, whose scores they are
    compared with. A model without the tree is given 64 titles at a time.

    Args:
        wanted: what the recipe asks for.
        engine: what few titles are scored with.
        model: the (peft) model; gets the attention function that the tree needs.

    Returns:
        Whether; the most titles of a row that are scored beside one prompt at a time; one sentence.

    Raises:
        InputError: if the recipe says ``always`` and the model rules it out.
    """
    lm = causal_lm(model)
    against = "engine `naive` shares nothing" if engine.name == "naive" else _against_attention(lm.config)
    if against and wanted == "always":
        raise InputError(f"the tree is ruled out: {against}", where="policy.tree", fix="use `auto`")
    if against or wanted == "never":
        return False, FEW, against or "the recipe asks for none"
    if engine.name != Split.name:
        enable_split(lm, shorten=False)
    return (True, 0, "the recipe asks for it") if wanted == "always" else (True, FEW, f"for more than {FEW} titles")


def _against_split(config: Any, windows: Mapping[str, int | None], max_tokens: int) -> str:
    against = _against_attention(config)
    if against:
        return against
    if not reaches(windows, max_tokens):
        return f"a sliding window is shorter than max_tokens ({max_tokens})"
    return ""


def _against_attention(config: Any) -> str:
    config = config.get_text_config()
    attention = config._attn_implementation  # noqa: SLF001 - the only place where transformers keeps it
    if attention not in ("sdpa", Split.attention):
        return f"attention is {attention!r}, not 'sdpa'"
    if getattr(config, "attn_logit_softcapping", None) is not None:
        return "attention logits are soft-capped"
    return ""


def _refuse_or_naive(wanted: Wanted, against: str) -> tuple[Engine, str]:
    if wanted == "packed":
        raise InputError(f"engine `packed` is ruled out: {against}", where="policy.engine", fix="use `auto`")
    return Naive(), f"`packed` and `split` are ruled out: {against}"
