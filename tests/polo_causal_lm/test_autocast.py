"""bfloat16 by autocast over float32 weights, on a CPU: near to float32, and right for every function of our own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from transformers.models.llama.modeling_llama import LlamaRMSNorm

from polo_causal_lm.engines.base import Engine, causal_lm
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.norm import norm_forward
from polo_causal_lm.engines.shorter import is_shortened, shorten
from polo_causal_lm.engines.split import Split, enable_split
from polo_causal_lm.loading import enable_checkpointing
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from tests.polo_causal_lm.world import VOCAB, adapter_gradients, packed, random_encoded, random_peft, relative

CPU = torch.device("cpu")
#: bfloat16 keeps 8 bits: a product is off by up to 2^-9, scores of 40 nats by a few hundredths
NATS, GRADIENT = 5e-2, 2e-2


def scorer(family: str, name: str, checkpointing: bool = False) -> CandidateScorer:
    """Weights of the size that trained ones have (the other tests take three times that, which bfloat16 cannot do)."""
    model = random_peft(family, torch.float32)
    with torch.no_grad():
        for p in model.parameters():
            if p.ndim > 1:
                p.mul_(0.3)
    if name == "split":
        enable_split(causal_lm(model))
        assert any(map(is_shortened, model.modules()))
    if checkpointing:
        enable_checkpointing(causal_lm(model))
        model.train()
    engines: dict[str, Engine] = {"naive": Naive(), "packed": packed(model), "split": Split()}
    return CandidateScorer(model, engines[name])


def result(judged: CandidateScorer, *, autocast: bool, backward_too: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
    """Scores, and the gradient of a softmax loss to all adapters."""
    layout = judged.engine.layout(random_encoded(5, rows=4, n=5), CPU)
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        scores = judged(layout)
    loss = -torch.log_softmax(scores / 10, dim=-1)[:, 0].sum()
    with torch.autocast("cpu", torch.bfloat16, enabled=backward_too):
        return scores.detach(), adapter_gradients(judged.model, loss)


@pytest.mark.parametrize("family", ["llama", "qwen3"])
@pytest.mark.parametrize("name", ["naive", "packed", "split"])
@pytest.mark.parametrize("backward_too", [False, True])
def test_scores_and_gradients_are_near_to_those_of_float32(family: str, name: str, backward_too: bool) -> None:
    exact, gradient = result(scorer(family, "naive"), autocast=False)
    scores, found = result(scorer(family, name), autocast=True, backward_too=backward_too)
    assert scores.dtype == found.dtype == torch.float32
    off = float((scores - exact).abs().max())
    assert 0 < off < NATS
    assert relative(found, gradient) < GRADIENT


@pytest.mark.parametrize("name", ["naive", "packed", "split"])
def test_the_log_softmax_is_in_float32(name: str) -> None:
    """Probabilities of all tokens sum to 1 to seven digits; in bfloat16 they would to two."""
    judged = scorer("llama", name)
    every = Encoded([np.arange(3, 12)], [[np.array([token]) for token in range(VOCAB)]])
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        scores = judged(judged.engine.layout(every, CPU))
    assert float(scores.exp().sum()) == pytest.approx(1.0, abs=1e-5)


def test_recomputed_activations_are_those_of_autocast() -> None:
    """Checkpointing runs the forward again in the backward pass, which itself is outside of autocast."""
    plain = result(scorer("llama", "split"), autocast=True)
    again = result(scorer("llama", "split", checkpointing=True), autocast=True)
    for a, b in zip(again, plain, strict=True):
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)


def test_a_backward_pass_within_autocast_of_a_forward_outside_is_in_float32() -> None:
    exact = result(scorer("llama", "split"), autocast=False)
    found = result(scorer("llama", "split"), autocast=False, backward_too=True)
    torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_norm_under_autocast_is_transformers_norm(dtype: torch.dtype) -> None:
    """Autocast leaves norms in the type of their input; ours gives way where that is not float32."""

    def both(layer: Any) -> list[torch.Tensor]:
        torch.manual_seed(0)
        x = torch.randn(2, 5, 16, dtype=dtype, requires_grad=True)
        with torch.autocast("cpu", torch.bfloat16):
            y = layer(x)
            return [y.detach(), *torch.autograd.grad((y * torch.arange(16.0)).sum(), x)]

    layer = LlamaRMSNorm(16).requires_grad_(False)
    expected = both(layer)
    shorten(layer, norm_forward)
    for a, b in zip(both(layer), expected, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, atol=1e-6, rtol=1e-5)
