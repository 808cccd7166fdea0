"""Log-probabilities at scored positions only. Knows hidden states and the head; knows no layout.

log p(t) = z[t] - logsumexp(z), z = head(h), soft-capped where the model does that; in float32 at least.
"""

from __future__ import annotations

import itertools
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from polo_causal_lm.engines.base import Scored, causal_lm
from polo_causal_lm.engines.fused_head import expected_logps

#: rows of logits at a time; more are made again in the backward pass (bounds memory at 2048 x vocabulary)
CHUNK = 2048


class _Picked(torch.autograd.Function):
    """log-softmax at picked places. Keeps one buffer of the logits' size, where autograd's own chain keeps three."""

    @staticmethod
    def forward(
        ctx: Any, logits: Float[Tensor, "r v"], state: Int[Tensor, " m"], token: Int[Tensor, " m"]
    ) -> Float[Tensor, " m"]:
        normaliser = torch.logsumexp(logits, dim=-1)
        ctx.save_for_backward(logits, normaliser, state, token)
        return logits[state, token] - normaliser[state]

    @staticmethod
    def backward(ctx: Any, grad: Float[Tensor, " m"]) -> tuple[Tensor, None, None]:
        logits, normaliser, state, token = ctx.saved_tensors
        total = torch.zeros_like(normaliser).index_add_(0, state, grad)
        out = (logits - normaliser[:, None]).exp_().mul_(-total[:, None])
        out.index_put_((state, token), grad, accumulate=True)
        return out, None, None


def picked_logps(
    logits: Float[Tensor, "r v"], state: Int[Tensor, " m"], token: Int[Tensor, " m"]
) -> Float[Tensor, " m"]:
    """``log_softmax(logits)[state, token]``, in float32 at least.

    Args:
        logits: any float type.
        state: rows to read.
        token: columns to read.

    Example:
        >>> picked_logps(torch.zeros(1, 4), torch.tensor([0, 0]), torch.tensor([1, 2])).exp().tolist()
        [0.25, 0.25]
    """
    wide = logits if logits.dtype == torch.float64 else logits.float()
    out: Tensor = _Picked.apply(wide, state, token)  # type: ignore[no-untyped-call]
    return out


def head_logps(model: nn.Module, states: Float[Tensor, "tokens h"], scored: Scored) -> Float[Tensor, "b n"]:
    """Scores from hidden states: the head on scored states, then sums over each title's tokens.

    Args:
        model: the (peft) model, for its head.
        states: hidden states of all tokens of the pass, flat; or of the scored ones only, in their order.
        scored: which of them predict what.
    """
    lm = causal_lm(model)
    head, cap = lm.get_output_embeddings(), getattr(lm.config, "final_logit_softcapping", None)
    scale = logit_scale(lm.config)

    def score(rows: Tensor, state: Tensor, token: Tensor) -> Tensor:
        logits = head(rows)
        if cap is not None:
            logits = torch.tanh(logits / cap) * cap
        return picked_logps(logits, state, token)

    # Equal lengths also where every token is scored; the places are 0, 1, 2, ... then, and nothing is left to pick.
    rows = states if len(states) == len(scored.states) else states[scored.states]
    if scale != 1:
        rows = rows * scale  # heads of models that scale logits have no bias
    if cap is None and _frozen_linear(head, rows):
        logps = expected_logps(rows, head.weight, head.bias, scored.state, scored.token, scored.distinct)
    elif len(rows) <= CHUNK:
        logps = score(rows, scored.state, scored.token)
    else:
        logps = _chunked(score, rows, scored)
    return sum_slots(logps, scored.slots)


def logit_scale(config: Any) -> float:
    """What a model multiplies its head's logits with (Cohere), or divides them by (Granite); 1 for most."""
    return float(getattr(config, "logit_scale", None) or 1) / float(getattr(config, "logits_scaling", None) or 1)


def _frozen_linear(head: Any, rows: Tensor) -> bool:
    """Whether :func:`expected_logps` does for this head: a frozen matrix in the type of the states, unwatched."""
    if type(head) is not nn.Linear or head._forward_pre_hooks or head._forward_hooks:  # noqa: SLF001
        return False
    trained = head.weight.requires_grad or (head.bias is not None and head.bias.requires_grad)
    exact = rows.dtype == head.weight.dtype and rows.dtype in (torch.float32, torch.float64)
    return exact and not trained and not torch.is_autocast_enabled(rows.device.type)


def _chunked(score: Any, rows: Tensor, scored: Scored) -> Tensor:
    # `state` ascends, so the scored tokens of a chunk of rows are a slice too.
    starts = torch.arange(0, len(rows) + CHUNK, CHUNK, device=rows.device)
    edges = torch.searchsorted(scored.state, starts).tolist()
    found = []
    for c, (low, high) in enumerate(itertools.pairwise(edges)):
        chunk = rows[c * CHUNK : (c + 1) * CHUNK]
        inside = scored.state[low:high] - c * CHUNK
        found.append(checkpoint(score, chunk, inside, scored.token[low:high], use_reentrant=False))
    return torch.cat(found)


def sum_slots(logps: Float[Tensor, " m"], slots: Int[Tensor, "b n length"]) -> Float[Tensor, "b n"]:
    """Sums ``logps`` over the places in ``slots``; place M (one past the end) counts 0. Same order on every device."""
    return torch.cat([logps, logps.new_zeros(1)])[slots].sum(-1)
