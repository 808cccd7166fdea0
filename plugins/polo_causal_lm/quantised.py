"""Frozen weights in 4 or 8 bits, by bitsandbytes, so that a score is that of the dequantised model. Knows its layers.

    nf4: W = absmax[block of 64] * code[4 bits]        int8: W = absmax[row] / 127 * (8 bits)

bitsandbytes itself computes by other forms where nothing is trained: on a CPU from bfloat16, and for 8 bits from
activations that it rounds too, by what else is in the pass. A policy must score alike in training and evaluation,
whatever rows are beside a row; so layers here multiply with the dequantised weight, which nobody keeps.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any, Literal

import torch
from torch import Tensor, nn

from polo import InputError
from polo_causal_lm.bits import bitsandbytes

Kind = Literal["nf4", "int8"]


def how_to_load(kind: Kind, dtype: torch.dtype) -> Any:
    """The quantisation config that transformers loads a model by.

    Raises:
        InputError: bitsandbytes is not installed.
    """
    if find_spec("bitsandbytes") is None:
        raise InputError(
            "quantised weights need bitsandbytes, which is not installed",
            where="policy.quantise",
            fix="pip install 'polo-rec[quant]', or leave quantise out",
        )
    from transformers import BitsAndBytesConfig

    if kind == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=kind, bnb_4bit_compute_dtype=dtype)


def settle(lm: nn.Module) -> None:
    """Makes quantised layers compute as the module's docstring says, in training and in evaluation.

    Raises:
        InputError: no layer of the model could be quantised.
    """
    bnb = bitsandbytes()
    from polo_causal_lm.weight8 import Weight8

    layers = [one for one in lm.modules() if isinstance(one, bnb.nn.Linear8bitLt | bnb.nn.Linear4bit)]
    if not layers:
        raise InputError(
            "bitsandbytes has found no layer of this base to quantise", where="policy.quantise", fix="leave it out"
        )
    for layer in layers:
        if isinstance(layer, bnb.nn.Linear8bitLt):
            layer.__class__ = Weight8  # peft looks for the class above it
        else:
            layer.support_avx512bf16_for_cpu = False  # else evaluation turns weights into another form, for good


def dequantised(lm: nn.Module) -> dict[str, Tensor]:
    """Weights of all quantised layers as numbers, by the name of the parameter in a model that is not quantised."""
    bnb = bitsandbytes()
    from polo_causal_lm.weight8 import scale_of, times

    found = {}
    for name, layer in lm.named_modules():
        plain = f"{name.removesuffix('.base_layer')}.weight"
        if isinstance(layer, bnb.nn.Linear8bitLt):
            found[plain] = times(layer.weight.data, scale_of(layer), torch.float32)
        elif isinstance(layer, bnb.nn.Linear4bit):
            found[plain] = bnb.functional.dequantize_4bit(layer.weight.data, layer.weight.quant_state)
    return found
