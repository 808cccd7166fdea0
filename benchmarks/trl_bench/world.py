"""Rows with answers of their own, as token ids and as text, and the models that learn from them. All random."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tokenizers
import torch
import transformers

from polo_causal_lm.loading import add_lora
from polo_causal_lm.options import LoraOptions

#: ids of the marks that every vocabulary begins with
PAD, UNKNOWN, END = 0, 1, 2
LORA = LoraOptions(r=8, alpha=32.0, dropout=0.0)


@dataclass(frozen=True)
class Row:
    """A prompt and its answers, each with the end token; the first is the chosen one."""

    prompt: np.ndarray
    answers: tuple[np.ndarray, ...]


def random_rows(n: int, k: int, vocab: int, prompt: tuple[int, int], answer: tuple[int, int], seed: int) -> list[Row]:
    """``n`` rows with ``k`` rejected answers each.

    Args:
        n: rows.
        k: rejected answers of each.
        vocab: tokens; the first three are marks.
        prompt: shortest and longest prompt, in tokens.
        answer: shortest and longest answer, in tokens with the end token.
        seed: of all of it.
    """
    rng = np.random.default_rng(seed)

    def words(low: int, high: int) -> np.ndarray:
        return rng.integers(3, vocab, rng.integers(low, high + 1))

    return [
        Row(words(*prompt), tuple(np.append(words(answer[0] - 1, answer[1] - 1), END) for _ in range(1 + k)))
        for _ in range(n)
    ]


def tokenizer_of(vocab: int) -> Any:
    """Words ``w3 w4 ...`` with their numbers as ids, so that text and ids say the same."""
    marks = {"<pad>": PAD, "<unk>": UNKNOWN, "</s>": END}
    words = tokenizers.models.WordLevel(marks | {f"w{i}": i for i in range(3, vocab)}, unk_token="<unk>")
    made = tokenizers.Tokenizer(words)
    made.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=made, pad_token="<pad>", unk_token="<unk>", eos_token="</s>"
    )


def text_of(ids: np.ndarray, *, first: bool = False) -> str:
    """Words of ids, the end token left out; with a leading space unless they come first."""
    return ("" if first else " ") + " ".join(f"w{i}" for i in ids if i != END)


def small_base(folder: Path, vocab: int, seed: int) -> Path:
    """A Llama small enough for thirty steps in seconds, on disk."""
    config = transformers.LlamaConfig(
        vocab_size=vocab, hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, head_dim=8, max_position_embeddings=256, bos_token_id=None, eos_token_id=END,
        pad_token_id=PAD,
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        lm = transformers.LlamaForCausalLM(config)
        for weight in lm.parameters():
            if weight.ndim > 1:
                torch.nn.init.normal_(weight, std=0.15)
    lm.save_pretrained(folder)
    tokenizer_of(vocab).save_pretrained(folder)
    return folder


def with_adapters(lm: Any, seed: int) -> Any:
    """The same adapters for every seed, both factors random: a fresh B is 0 and hides the gradient of A."""
    model = add_lora(lm, LORA)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for weight in model.parameters():
            if weight.requires_grad:
                torch.nn.init.normal_(weight, std=0.02)
    return model


def adapters(model: Any) -> dict[str, torch.Tensor]:
    """Weights that are trained, by name."""
    return {name: weight.detach().clone() for name, weight in model.named_parameters() if weight.requires_grad}
