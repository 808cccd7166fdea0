"""Greedy completions, for protocols that match generated titles. Knows token ids; padding is on the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch


@torch.no_grad()
def generate_titles(
    model: Any, tokenizer: Any, prompts: Sequence[npt.NDArray[np.int64]], max_new_tokens: int
) -> list[str]:
    """Greedy decoding to the end token.

    Args:
        model: the transformers model, adapters in place.
        tokenizer: turns ids back into text.
        prompts: token ids of each prompt.
        max_new_tokens: longest completion.
    """
    device, width = model.device, max(len(prompt) for prompt in prompts)
    end = tokenizer.eos_token_id
    pad = end if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    ids = torch.full((len(prompts), width), pad)
    mask = torch.zeros((len(prompts), width), dtype=torch.long)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :], mask[row, width - len(prompt) :] = torch.from_numpy(prompt), 1
    training = model.training
    model.eval()
    try:
        out = model.generate(
            input_ids=ids.to(device),
            attention_mask=mask.to(device),
            do_sample=False,
            max_new_tokens=max_new_tokens,
            pad_token_id=pad,
            eos_token_id=end,
        )
    finally:
        model.train(training)
    return [text.strip() for text in tokenizer.batch_decode(out[:, width:], skip_special_tokens=True)]
