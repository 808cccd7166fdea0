"""Shapes, random models and random users of the step benchmark. Knows nothing of how a step is computed.

Weights come from a config and a seed, prompts and titles are random token ids: the figures say what a step costs and
whether two forms of it agree, nothing about recommendation.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
import transformers

from polo_causal_lm.loading import add_lora
from polo_causal_lm.options import LoraOptions
from polo_causal_lm.text import Encoded

#: tokens of a prompt and of a title without its end token, both ends included
PROMPT, TITLE = (250, 400), (3, 10)
END = 2


@dataclass(frozen=True)
class Shape:
    """A decoder of the Llama family by its sizes, and how many users make a batch at each k."""

    name: str
    hidden: int
    ffn: int
    layers: int
    heads: int
    kv_heads: int
    head: int
    vocab: int
    users: dict[int, int]

    @property
    def body(self) -> int:
        """Weights of all layers without embeddings: L (2 h H d + 2 h Hkv d + 3 h f)."""
        attention = 2 * self.hidden * self.head * (self.heads + self.kv_heads)
        return self.layers * (attention + 3 * self.hidden * self.ffn)

    def config(self) -> Any:
        return transformers.LlamaConfig(
            vocab_size=self.vocab,
            hidden_size=self.hidden,
            intermediate_size=self.ffn,
            num_hidden_layers=self.layers,
            num_attention_heads=self.heads,
            num_key_value_heads=self.kv_heads,
            head_dim=self.head,
            max_position_embeddings=1024,
            bos_token_id=1,
            eos_token_id=END,
            pad_token_id=0,
            tie_word_embeddings=self.vocab > 100_000,
        )


TINY = Shape("tiny", 256, 704, 4, 4, 2, 64, 32_000, {1: 4, 3: 4, 5: 4, 10: 2, 15: 2, 20: 2})
MID = Shape("mid", 512, 1408, 8, 8, 4, 64, 32_000, {1: 2, 3: 1, 5: 1, 10: 1, 15: 1, 20: 1})
#: the sizes of Llama-3.2-1B
LLAMA_1B = Shape("llama-1b", 2048, 8192, 16, 32, 8, 64, 128_256, {1: 4, 5: 4, 19: 1})
SHAPES = {shape.name: shape for shape in (TINY, MID, LLAMA_1B)}


def random_model(
    shape: Shape, seed: int, adapter_seed: int, device: str = "cpu", dtype: torch.dtype = torch.float32
) -> Any:
    """A frozen random model with LoRA r = 8 on all seven linears, both factors random, no dropout.

    A fresh B is 0, which would hide A's gradient; dropout would make gradients differ by chance.
    """
    with torch.random.fork_rng(devices=[device] if device.startswith("cuda") else []):
        torch.manual_seed(seed)
        lm = transformers.AutoModelForCausalLM.from_config(shape.config(), dtype=dtype).to(device)
        model = add_lora(lm, LoraOptions(r=8, alpha=32.0, dropout=0.0)).to(device)
        torch.manual_seed(adapter_seed)
        for parameter in model.parameters():
            if parameter.requires_grad:
                torch.nn.init.normal_(parameter, std=0.02)
    return model.train()


def random_users(shape: Shape, users: int, k: int, seed: int) -> Encoded:
    """Prompts and 1 + k titles each, as token ids."""
    rng = np.random.default_rng(seed)
    prompts = [rng.integers(3, shape.vocab, rng.integers(PROMPT[0], PROMPT[1] + 1)) for _ in range(users)]
    titles = [
        [np.append(rng.integers(3, shape.vocab, rng.integers(TITLE[0], TITLE[1] + 1)), END) for _ in range(1 + k)]
        for _ in range(users)
    ]
    return Encoded(prompts, titles)
