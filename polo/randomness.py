"""Random numbers that belong to rows, not to the order in which rows are visited.

A draw for row 17 is a pure function of (key, row 17, column), so it does not change when rows are shuffled, split over
passes or processes, or resumed in the middle. Knows integers and bits only.
"""

from __future__ import annotations

import hashlib
from typing import Final

import numpy as np
import numpy.typing as npt

# splitmix64, Steele, Lea & Flood 2014, "Fast splittable pseudorandom number generators"
_GAMMA: Final = np.uint64(0x9E3779B97F4A7C15)
_MIX_1: Final = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2: Final = np.uint64(0x94D049BB133111EB)


def _mix(x: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Changes ``x`` where it lies: a new array for each line costs several times what is computed in it."""
    moved = np.empty_like(x)
    with np.errstate(over="ignore"):
        x ^= np.right_shift(x, np.uint64(30), out=moved)
        x *= _MIX_1
        x ^= np.right_shift(x, np.uint64(27), out=moved)
        x *= _MIX_2
        x ^= np.right_shift(x, np.uint64(31), out=moved)
    return x


def seed_of(*key: int | str) -> int:
    """A 63-bit seed from any words: the same words give the same seed on every machine.

    Example:
        >>> seed_of(0, "prefer", 3) == seed_of(0, "prefer", 3) != seed_of(0, "prefer", 4)
        True
    """
    text = "\x1f".join(f"{type(word).__name__}:{word}" for word in key)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


class RowRandom:
    """Uniform numbers addressed by (row, column).

    Args:
        key: words that name the stream, such as ``(seed, "prefer", epoch)``.

    Example:
        >>> import numpy as np
        >>> rng = RowRandom(0, "demo")
        >>> a, b = rng.uniform(np.array([5, 9]), 3), rng.uniform(np.array([9, 5]), 3)
        >>> bool((a == b[::-1]).all()), a.shape
        (True, (2, 3))
    """

    def __init__(self, *key: int | str) -> None:
        self.key = key
        self._seed = np.uint64(seed_of(*key))

    def child(self, *words: int | str) -> RowRandom:
        """A stream of its own, independent of this one."""
        return RowRandom(*self.key, *words)

    def bits(self, rows: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.uint64]:
        """``[len(rows), n]`` 64-bit words."""
        with np.errstate(over="ignore"):
            row = _mix(rows.astype(np.uint64) * _GAMMA + self._seed)
            column = np.arange(1, n + 1, dtype=np.uint64) * _GAMMA
            words = _mix(row[:, None] + column[None, :])
            words ^= self._seed
            return _mix(words)

    def uniform(self, rows: npt.NDArray[np.integer], n: int) -> npt.NDArray[np.float64]:
        """``[len(rows), n]`` float64 in [0, 1), 53 bits each; row i depends on ``rows[i]`` alone."""
        words = self.bits(rows, n)
        words >>= np.uint64(11)
        numbers = words.astype(np.float64)
        numbers *= 2.0**-53
        return numbers
