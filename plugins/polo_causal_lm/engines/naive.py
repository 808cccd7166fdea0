"""Engine ``naive``: every candidate with a prompt of its own, logits at all positions. Slow; the judge of the others.

It uses nothing but the model's public forward, a padding mask and log_softmax, so what it computes is what any trainer
of concatenated rows computes.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from jaxtyping import Float
from torch import Tensor, nn

from polo import FloatArray, IntArray, sent
from polo_causal_lm.engines.base import Layout, causal_lm, title_scores
from polo_causal_lm.engines.head import sum_slots
from polo_causal_lm.text import Encoded


class Naive:
    """B * n concatenated rows of prompt and title.

    Args:
        side: where shorter rows are padded.
    """

    name = "naive"

    def __init__(self, side: Literal["left", "right"] = "right") -> None:
        self.side = side

    def layout(self, encoded: Encoded, device: torch.device) -> Layout:
        n = len(encoded.titles[0])
        # The last token of a title is only ever predicted, but published trainers feed it, and so does this form.
        rows = [
            np.concatenate([prompt, title])
            for prompt, titles in zip(encoded.prompts, encoded.titles, strict=True)
            for title in titles
        ]
        lengths = np.array([len(row) for row in rows])
        width = int(lengths.max())
        ids, mask = np.zeros((len(rows), width), np.int64), np.zeros((len(rows), width), np.int64)
        positions = np.zeros((len(rows), width), np.int64)
        places = []
        for r, row in enumerate(rows):
            start = width - len(row) if self.side == "left" else 0
            inside = slice(start, start + len(row))
            ids[r, inside], mask[r, inside], positions[r, inside] = row, 1, np.arange(len(row))
            before = r * width + start + len(encoded.prompts[r // n])
            places.append(np.arange(before - 1, r * width + start + len(row) - 1))
        alone = [[title] for titles in encoded.titles for title in titles]
        scored = title_scores(alone, np.concatenate(places), (len(encoded), n), device)
        return Layout(_on(ids, device), _on(positions, device), _on(mask, device), scored)

    def scores(self, model: nn.Module, layout: Layout) -> Float[Tensor, "b n"]:
        output = causal_lm(model)(
            input_ids=layout.ids, attention_mask=layout.mask, position_ids=layout.positions, use_cache=False
        )
        logits: Tensor = output.logits
        wide = logits if logits.dtype == torch.float64 else logits.float()
        logps = torch.log_softmax(wide, dim=-1).flatten(0, 1)
        scored = layout.scored
        return sum_slots(logps[scored.states[scored.state], scored.token], scored.slots)

    def cost(self, prompts: IntArray, titles: float | FloatArray, n: int) -> IntArray:
        cost: IntArray = np.ceil(n * (prompts + titles)).astype(np.int64)
        return cost


def _on(array: npt.NDArray[np.int64], device: torch.device) -> Tensor:
    return sent(array, device)
