"""Log-probabilities of picked tokens straight from hidden states, without keeping logits. Knows a frozen linear head.

    log p(t | h) = z_t - log sum_v exp z_v,    z = W h + c
    d / dh sum_m g_m log p(t_m | h) = sum_m g_m W_(t_m) - (sum_m g_m) E,    E = sum_v p_v W_v

The expected head row E does not depend on the incoming gradient, so it is formed while the logits are at hand; the
logits are then dropped. What is kept for the backward pass has the size of the hidden states, whatever the vocabulary,
and nothing is computed twice. Picked tokens are taken out of E and put back with their exact weight, since
``W_t - E`` would cancel where p_t is near 1.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.autograd.function import once_differentiable

#: logits at a time: 32 MB in float32
ENTRIES = 1 << 23


class _Expected(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        states: Float[Tensor, "r h"],
        weight: Float[Tensor, "v h"],
        bias: Float[Tensor, " v"] | None,
        state: Int[Tensor, " m"],
        token: Int[Tensor, " m"],
        distinct: Bool[Tensor, " m"],
        edges: list[int],
    ) -> Float[Tensor, " m"]:
        keep = ctx.needs_input_grad[0]
        expected = torch.empty_like(states) if keep else None
        step = rows_at_once(weight)
        found = []
        for c, start in enumerate(range(0, len(states), step)):
            rows = states[start : start + step]
            inside, picked = state[edges[c] : edges[c + 1]] - start, token[edges[c] : edges[c + 1]]
            z = rows @ weight.T if bias is None else torch.addmm(bias, rows, weight.T)
            top = z.amax(-1, keepdim=True)
            chosen = z[inside, picked]
            total = z.sub_(top).exp_().sum(-1, keepdim=True)
            found.append(chosen - (top + total.log())[inside, 0])
            if expected is not None:
                z[inside, picked] = 0
                torch.mm(z, weight, out=expected[start : start + step]).div_(total)
        logps = torch.cat(found)
        if expected is not None:
            ctx.save_for_backward(weight[token], expected, logps, state, distinct)
        return logps

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Float[Tensor, " m"]) -> tuple[Tensor | None, ...]:
        rows, expected, logps, state, distinct = ctx.saved_tensors
        total = torch.zeros(len(expected), dtype=grad.dtype, device=grad.device).index_add_(0, state, grad)
        share = grad - total[state] * logps.exp() * distinct
        out = expected * -total[:, None]
        return out.index_add_(0, state, rows * share[:, None]), None, None, None, None, None, None


def rows_at_once(weight: Tensor) -> int:
    """Rows of logits that are made together."""
    return max(16, ENTRIES // len(weight))


def expected_logps(
    states: Float[Tensor, "r h"],
    weight: Float[Tensor, "v h"],
    bias: Float[Tensor, " v"] | None,
    state: Int[Tensor, " m"],
    token: Int[Tensor, " m"],
    distinct: Bool[Tensor, " m"],
) -> Float[Tensor, " m"]:
    """``log_softmax(states @ weight.T + bias)[state, token]`` with gradient to ``states`` only.

    Args:
        states: float32 or float64.
        weight, bias: of the head, frozen.
        state: rows to read; ascending.
        token: columns to read.
        distinct: False where the same (state, token) has stood before.

    Example:
        >>> one = torch.tensor([0])
        >>> expected_logps(torch.zeros(1, 2), torch.ones(4, 2), None, one, one, one == 0).exp().tolist()
        [0.25]
    """
    step = rows_at_once(weight)
    edges = [0, len(state)]
    if len(states) > step:  # `state` ascends, so the tokens of a chunk of rows are a slice too
        starts = torch.arange(0, len(states) + step, step, device=state.device)
        edges = torch.searchsorted(state, starts).tolist()
    out: Tensor = _Expected.apply(states, weight, bias, state, token, distinct, edges)  # type: ignore[no-untyped-call]
    return out
