"""What a step computes, in floating-point operations. Knows lengths and sizes; runs nothing.

With n tokens, s of them predicting, W weights of one layer (attention Wa = Wq + Wk + Wv + Wo, feed-forward Wf), r the
rank of adapters over linear layers of i inputs and o outputs, V the vocabulary, h the width:

    forward  = 2 n W (L - 1) + 2 (n (Wk + Wv) + s (Wq + Wo + Wf)) + 4 L H d pairs + 2 s h V + 2 n L r sum (i + o)
    ours     = 2 forward + 2 n L r sum (i + o)      backward to activations (weights are frozen), and to adapters
    naive    = forward of two models + backward     n = s = tokens of the padded matrix

Recomputation by checkpointing is not counted, nor is what the last layer leaves out for tokens that predict nothing.
"""

from __future__ import annotations

from step_bench.floor import naive_work, shared_work
from step_bench.world import Shape

from polo_causal_lm.text import Encoded

#: dense bfloat16 peak in FLOP a second by name of the device, NVIDIA's data sheets
PEAKS = {"H100 PCIe": 756e12, "H100 NVL": 835e12, "H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12}


def peak_of(device: str) -> float | None:
    """The data sheet's figure for a device, if it is known."""
    return next((flops for name, flops in PEAKS.items() if name in device), None)


def ours(shape: Shape, users: Encoded, rank: int) -> float:
    """FLOP of a step with a shared prefix and a cached reference."""
    work = shared_work(users)
    q, kv = shape.hidden * shape.heads * shape.head, 2 * shape.hidden * shape.kv_heads * shape.head
    rest = 2 * q + 3 * shape.hidden * shape.ffn
    body = work.tokens * (kv + rest) * (shape.layers - 1) + work.tokens * kv + work.rows * rest
    attention = 4.0 * shape.layers * shape.heads * shape.head * work.pairs
    forward = 2.0 * body + attention + 2.0 * work.rows * shape.hidden * shape.vocab
    return 2 * forward + 3 * _adapters(shape, work.tokens, rank)


def naive(shape: Shape, users: Encoded, rank: int) -> float:
    """FLOP of a step as published."""
    work = naive_work(users)
    return 3 * work.forward(shape) + 4 * _adapters(shape, work.tokens, rank)


def _adapters(shape: Shape, tokens: int, rank: int) -> float:
    """Of one forward of all adapters."""
    q, kv = shape.heads * shape.head, shape.kv_heads * shape.head
    ends = 2 * (shape.hidden + q) + 2 * (shape.hidden + kv) + 3 * (shape.hidden + shape.ffn)
    return 2.0 * rank * ends * shape.layers * tokens
