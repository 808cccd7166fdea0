"""AdamW whose memory takes 8 bits a number, by bitsandbytes, which is imported when a stage begins."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from typing import Any

import torch
from torch.distributed.tensor import DTensor

from polo import Context, InputError
from polo_causal_lm.options import AdamW8Options


class AdamW8:
    """AdamW (arXiv 1711.05101) with both means held in 8 bits by blocks of 256 (arXiv 2110.02861).

    Weights of fewer numbers than ``smallest`` keep theirs in float32, as in the paper.
    """

    def __init__(self, options: AdamW8Options, context: Context) -> None:
        if find_spec("bitsandbytes") is None:
            raise InputError(
                "the optimiser adamw_8bit needs bitsandbytes, which is not installed",
                where="stages.optimiser",
                fix="pip install 'polo-rec[quant]', or use adamw",
            )
        self._options = options

    def __call__(self, groups: Sequence[Mapping[str, Any]]) -> torch.optim.Optimizer:
        from polo_causal_lm.adam8 import SavedAdamW8

        if any(isinstance(weight, DTensor) for group in groups for weight in group["params"]):
            raise InputError(
                "adamw_8bit remembers blocks of whole weights, and these are spread over processes",
                where="--shard",
                fix="use the optimiser adamw, or drop --shard",
            )
        o = self._options
        made: torch.optim.Optimizer = SavedAdamW8(
            [dict(one) for one in groups], betas=o.betas, eps=o.eps, min_8bit_size=o.smallest
        )
        return made
