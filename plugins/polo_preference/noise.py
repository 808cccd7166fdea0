"""The numbers of ``RowRandom`` on the device of the scores, bit for bit, without a copy to the host.

Knows 64-bit integer arithmetic in torch (which wraps around, as numpy's does).
"""

from __future__ import annotations

from typing import Final

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polo import RowRandom, seed_of


def _signed(word: int) -> int:
    return word - (1 << 64) if word >> 63 else word


# splitmix64 (Steele, Lea & Flood 2014), as in polo.randomness
_GAMMA: Final = _signed(0x9E3779B97F4A7C15)
_MIX_1: Final = _signed(0xBF58476D1CE4E5B9)
_MIX_2: Final = _signed(0x94D049BB133111EB)


def _right(x: Tensor, bits: int) -> Tensor:
    """Shift to the right that fills with zeros (torch's fills with the sign)."""
    return (x >> bits) & ((1 << (64 - bits)) - 1)


def _mix(x: Tensor) -> Tensor:
    x = (x ^ _right(x, 30)) * _MIX_1
    x = (x ^ _right(x, 27)) * _MIX_2
    return x ^ _right(x, 31)


def uniform(rng: RowRandom, rows: Int[Tensor, " b"], n: int) -> Float[Tensor, "b n"]:
    """float64 ``[B, n]`` in [0, 1), equal bit for bit to ``rng.uniform(rows, n)``.

    Example:
        >>> rows = torch.tensor([3, 8])
        >>> rng = RowRandom(0, "x")
        >>> bool((uniform(rng, rows, 4).numpy() == rng.uniform(rows.numpy(), 4)).all())
        True
    """
    seed = seed_of(*rng.key)
    row = _mix(rows.to(torch.int64) * _GAMMA + seed)
    column = torch.arange(1, n + 1, device=rows.device) * _GAMMA
    bits = _mix(_mix(row[:, None] + column[None, :]) ^ seed)
    return _right(bits, 11).to(torch.float64) * 2.0**-53


def gumbel(rng: RowRandom, rows: Int[Tensor, " b"], n: int) -> Float[Tensor, "b n"]:
    """Standard Gumbel noise ``[B, n]``: the largest of ``log w + gumbel`` is a draw in proportion to w."""
    u = uniform(rng, rows, n).clamp(min=2.0**-54)
    return -torch.log(-torch.log(u))
