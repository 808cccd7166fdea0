"""bitsandbytes' AdamW in 8 bits with a memory that is tensors alone, so that a checkpoint can hold it."""

from __future__ import annotations

from typing import Any

import torch

from polo_causal_lm.bits import bitsandbytes

bnb = bitsandbytes()


class SavedAdamW8(bnb.optim.AdamW8bit):  # type: ignore[misc] # bitsandbytes has no types
    """Counts steps in a tensor; all else is bitsandbytes'."""

    @torch.no_grad()
    def update_step(self, group: Any, p: torch.Tensor, gindex: int, pindex: int) -> None:
        state = self.state[p]
        state["step"] = int(state["step"])
        super().update_step(group, p, gindex, pindex)
        state["step"] = torch.tensor(float(state["step"]))
