"""First-party plugin: causal language models as policies, their engines, and the bases that they start from."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_policies() -> Sequence[Component]:
    """The text policy."""
    return [
        Component(
            name="causal_lm",
            build="polo_causal_lm.policy:CausalLM",
            options="polo_causal_lm.options:CausalLMOptions",
            summary="causal language model, trained by LoRA or whole; scores titles after a prompt, sharing the prompt",
            source="LoRA, arXiv 2106.09685; prefix sharing, arXiv 2410.20305; QLoRA, arXiv 2305.14314",
            tags=("text", "logprob"),
        )
    ]


@hookimpl
def polo_bases() -> Sequence[Component]:
    """Models to start from."""
    return [
        Component(
            name="hub",
            build="polo_causal_lm.bases:Hub",
            options="polo_causal_lm.options:HubOptions",
            summary="a model that exists: a Hugging Face hub id or a local folder",
        ),
        Component(
            name="tiny_lm",
            build="polo_causal_lm.tiny.base:TinyLM",
            options="polo_causal_lm.options:TinyLMOptions",
            summary="a small Llama and its tokenizer, trained from scratch on the training sequences; cached",
            source="Llama, arXiv 2302.13971; byte-level BPE",
        ),
    ]


@hookimpl
def polo_optimisers() -> Sequence[Component]:
    """An optimiser for large models."""
    return [
        Component(
            name="adamw_8bit",
            build="polo_causal_lm.optimisers:AdamW8",
            options="polo_causal_lm.options:AdamW8Options",
            summary="AdamW whose running means take 8 bits a number; needs bitsandbytes (extra quant)",
            source="8-bit optimizers, arXiv 2110.02861",
        )
    ]
