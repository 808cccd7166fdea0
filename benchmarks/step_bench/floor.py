"""Arithmetic of a step: how much less there is to compute with a shared prefix. Knows lengths and sizes; runs nothing.

With P prompt tokens, T title tokens (end token included), W weights of the body, L layers, H heads of d, hidden h,
vocabulary V:

    F = 2 W tokens + 4 L H d pairs + 2 h V rows

    naive     tokens = rows x width of the padded matrix       pairs = causal pairs of each row    rows = tokens
              forward, second model, recomputation of the body by checkpointing, backward
    shared    tokens = P + sum (T - 1)    pairs = P(P+1)/2 + sum ((T-1) P + (T-1) T / 2)    rows = 1 + sum (T - 1)
              forward, backward (base frozen: to activations only); the reference is cached

The floor is a convention, not a bound: it counts every layer in full, and forms that leave work out can go below it.
"""

from __future__ import annotations

from dataclasses import dataclass

from polo_causal_lm.text import Encoded
from step_bench.world import Shape


@dataclass(frozen=True)
class Work:
    """Tokens, attention pairs and rows of logits of one forward."""

    tokens: int
    pairs: int
    rows: int

    def body(self, shape: Shape) -> float:
        """FLOP of one forward of the body."""
        return 2.0 * shape.body * self.tokens + 4.0 * shape.layers * shape.heads * shape.head * self.pairs

    def forward(self, shape: Shape) -> float:
        """FLOP of one forward with the head."""
        return self.body(shape) + 2.0 * shape.hidden * shape.vocab * self.rows


def naive_work(users: Encoded) -> Work:
    """Of concatenated rows, padded to the longest.

    Example:
        >>> import numpy as np
        >>> naive_work(Encoded([np.arange(4)], [[np.arange(2), np.arange(1)]]))
        Work(tokens=12, pairs=36, rows=12)
    """
    lengths = [len(p) + len(t) for p, titles in zip(users.prompts, users.titles, strict=True) for t in titles]
    width = max(lengths)
    return Work(len(lengths) * width, len(lengths) * width * (width - 1) // 2, len(lengths) * width)


def shared_work(users: Encoded) -> Work:
    """Of flat rows with a shared prefix."""
    tokens = pairs = rows = 0
    for prompt, titles in zip(users.prompts, users.titles, strict=True):
        p, fed = len(prompt), [len(t) - 1 for t in titles]
        tokens += p + sum(fed)
        pairs += p * (p + 1) // 2 + sum(t * p + t * (t + 1) // 2 for t in fed)
        rows += 1 + sum(fed)
    return Work(tokens, pairs, rows)


def floor_ratio(shape: Shape, users: Encoded) -> float:
    """FLOP of the naive step over FLOP of ours."""
    naive, ours = naive_work(users), shared_work(users)
    return (3 * naive.forward(shape) + naive.body(shape)) / (2 * ours.forward(shape))
