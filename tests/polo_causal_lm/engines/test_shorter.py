"""Shorter forwards compute what the modules' own do: values, gradients, and who they give way to."""

from __future__ import annotations

import copy
from typing import Any

import peft
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from transformers.models.llama.modeling_llama import LlamaRMSNorm, apply_rotary_pos_emb

from polo_causal_lm.engines import fused_head
from polo_causal_lm.engines.base import causal_lm, hidden_states
from polo_causal_lm.engines.check import check_engine
from polo_causal_lm.engines.fused_head import expected_logps
from polo_causal_lm.engines.layers import rotate
from polo_causal_lm.engines.lowrank import join_adapters, low_rank_forward
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.norm import half_norm, norm_forward
from polo_causal_lm.engines.shorter import is_shortened, own_forwards, restore, shorten, shorter
from polo_causal_lm.engines.split import Split, enable_split
from polo_causal_lm.module import CandidateScorer
from tests.polo_causal_lm.world import adapter_gradients, random_encoded, random_lm, random_peft, relative

CPU = torch.device("cpu")


def lora_layer(bias: bool, dropout: float, dtype: torch.dtype = torch.float64) -> Any:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 5, bias=bias, dtype=dtype))
    config = peft.LoraConfig(r=3, lora_alpha=7, lora_dropout=dropout, target_modules=["0"])
    layer = peft.get_peft_model(net, config).base_model.model[0]
    for p in layer.parameters():
        nn.init.normal_(p)
    return layer.to(dtype)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_low_rank_in_one_operation_is_pefts_sum(bias: bool, dropout: float) -> None:
    layer = lora_layer(bias, dropout).train()
    x = torch.randn(2, 4, 6, dtype=torch.float64, requires_grad=True)
    wanted = [x, layer.lora_A["default"].weight, layer.lora_B["default"].weight]
    weight = torch.randn(2, 4, 5, dtype=torch.float64)

    def result(forward: Any) -> list[torch.Tensor]:
        torch.manual_seed(1)  # the same dropout
        y = forward(x)
        return [y, *torch.autograd.grad((y * weight).sum(), wanted)]

    expected = result(layer)
    shorten(layer, low_rank_forward)
    for a, b in zip(result(layer), expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-12, rtol=1e-12)


def test_low_rank_gives_way_to_all_that_is_not_plain() -> None:
    layer = lora_layer(bias=True, dropout=0.0, dtype=torch.float32).eval()
    shorten(layer, low_rank_forward)
    x = torch.randn(3, 6)
    plain = layer(x)
    layer.enable_adapters(False)
    torch.testing.assert_close(layer(x), layer.base_layer(x))
    layer.enable_adapters(True)
    layer.merge()
    torch.testing.assert_close(layer(x), plain)
    layer.unmerge()
    seen: list[int] = []
    handle = layer.lora_A["default"].register_forward_hook(lambda *_: seen.append(1))
    torch.testing.assert_close(layer(x), plain)
    handle.remove()
    assert seen == [1]
    with torch.autocast("cpu", torch.bfloat16):
        assert layer(x).dtype == torch.bfloat16


@pytest.mark.parametrize("autocast", [True, False])
@pytest.mark.parametrize("dropout", [0.0, 0.4])
def test_low_rank_over_half_precision_is_pefts_sum_to_its_last_digits(autocast: bool, dropout: float) -> None:
    """Frozen bfloat16 weights, float32 adapters: 8 bits each way, and the adapters' gradients stay float32."""
    layer = lora_layer(True, dropout, torch.float32).train()
    layer.base_layer.to(torch.bfloat16).requires_grad_(False)
    x = torch.randn(2, 4, 6, dtype=torch.bfloat16, requires_grad=True)
    wanted = [x, layer.lora_A["default"].weight, layer.lora_B["default"].weight]

    def result(forward: Any) -> list[torch.Tensor]:
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            y = forward(x)
        return [y, *torch.autograd.grad((y.float() * torch.arange(5.0)).sum(), wanted)]

    shorten(layer, low_rank_forward)
    found = result(layer)
    assert [one.dtype for one in found] == [torch.bfloat16] * 2 + [torch.float32] * 2
    if dropout:  # peft drops numbers of float32, which takes other random ones
        return
    restore(layer)
    for a, b in zip(found, result(layer), strict=True):
        assert relative(a.detach().float(), b.detach().float()) < 0.01


def test_the_norm_of_half_precision_is_transformers_norm_within_a_rounding() -> None:
    torch.manual_seed(0)
    layer = LlamaRMSNorm(16, eps=1e-3).requires_grad_(False).to(torch.bfloat16)
    nn.init.normal_(layer.weight)
    x = torch.randn(2, 5, 16, dtype=torch.bfloat16, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        pairs = [
            [y, *torch.autograd.grad((y.float() * torch.arange(16.0)).sum(), x)]
            for y in (layer(x), half_norm(x, layer.weight, 1e-3))
        ]
    for a, b in zip(*pairs, strict=True):
        assert a.dtype == b.dtype == torch.bfloat16
        torch.testing.assert_close(a, b, atol=1e-2, rtol=2**-7)


def test_norm_is_transformers_norm() -> None:
    torch.manual_seed(0)
    layer = LlamaRMSNorm(16, eps=1e-3).requires_grad_(False)
    nn.init.normal_(layer.weight)
    x = torch.randn(2, 5, 16, requires_grad=True)
    weight = torch.randn(2, 5, 16)
    expected = layer(x)
    (a,) = torch.autograd.grad((expected * weight).sum(), x)
    shorten(layer, norm_forward)
    found = layer(x)
    (b,) = torch.autograd.grad((found * weight).sum(), x)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-6)
    torch.testing.assert_close(b, a, atol=1e-6, rtol=1e-5)


def test_a_norm_that_is_trained_keeps_its_own_forward() -> None:
    layer = LlamaRMSNorm(4)
    shorten(layer, norm_forward)
    layer(torch.randn(2, 4)).sum().backward()
    assert layer.weight.grad is not None


def test_rotation_is_transformers_rotation() -> None:
    torch.manual_seed(0)
    q = torch.randn(1, 5, 2, 8, dtype=torch.float64, requires_grad=True)
    cos, sin = torch.randn(2, 1, 5, 8, dtype=torch.float64)
    weight = torch.randn(q.shape, dtype=torch.float64)
    expected = apply_rotary_pos_emb(q.transpose(1, 2), q.transpose(1, 2), cos, sin)[0].transpose(1, 2)
    found = rotate(q, cos, sin)
    torch.testing.assert_close(found, expected, atol=1e-14, rtol=0)
    (a,) = torch.autograd.grad((expected * weight).sum(), q)
    (b,) = torch.autograd.grad((found * weight).sum(), q)
    torch.testing.assert_close(b, a, atol=1e-14, rtol=0)


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(2, 6), st.booleans())
@settings(max_examples=30)
def test_expected_head_rows_give_the_gradient_of_log_softmax(seed: int, rows: int, vocab: int, bias: bool) -> None:
    """Few words, so that titles begin alike and tokens repeat; up to three chunks of 16 rows."""
    g = torch.Generator().manual_seed(seed)
    states = (torch.randn(rows, 3, generator=g, dtype=torch.float64) * 3).requires_grad_()
    weight = torch.randn(vocab, 3, generator=g, dtype=torch.float64)
    shift = torch.randn(vocab, generator=g, dtype=torch.float64) if bias else None
    state = torch.cat([torch.arange(rows), torch.randint(rows, (5,), generator=g)]).sort().values
    token = torch.randint(vocab, (len(state),), generator=g)
    seen: set[tuple[int, int]] = set()
    pairs = list(zip(state.tolist(), token.tolist(), strict=True))
    distinct = torch.tensor([not (pair in seen or seen.add(pair)) for pair in pairs])  # type: ignore[func-returns-value]
    upstream = torch.randn(len(state), generator=g, dtype=torch.float64)
    expected = torch.log_softmax(nn.functional.linear(states, weight, shift), -1)[state, token]
    (a,) = torch.autograd.grad((expected * upstream).sum(), states)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fused_head, "ENTRIES", 16)
        found = expected_logps(states, weight, shift, state, token, distinct)
    (b,) = torch.autograd.grad((found * upstream).sum(), states)
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    torch.testing.assert_close(b, a, atol=1e-12, rtol=0)


def test_a_certain_token_has_an_exactly_small_gradient() -> None:
    """p = 1 - 3e-11: W_t - E cancels to nothing in float32, but the gradient is -(1 - p) (W_other - W_t) in size."""
    weight = torch.tensor([[1.0], [-1.0]])
    states = torch.tensor([[12.0]], requires_grad=True)
    zero = torch.tensor([0])
    expected_logps(states, weight, None, zero, zero, zero == 0).sum().backward()
    # 1 - p = exp(-24) to within a millionth of it; W_t - W_other = 2
    assert states.grad is not None
    assert states.grad.item() == pytest.approx(2 * torch.tensor(-24.0, dtype=torch.float64).exp().item(), abs=2e-7)


def test_the_last_layer_hands_on_what_predicts_and_nothing_else() -> None:
    model = random_peft("llama", torch.float32)
    encoded = random_encoded(0, rows=3, n=4)
    with torch.no_grad():
        enable_split(causal_lm(model), shorten=False)
        layout = Split().layout(encoded, CPU)
        whole = hidden_states(model, layout)
        enable_split(causal_lm(model))
        trimmed = hidden_states(model, layout)
    assert len(trimmed) == sum(1 + sum(len(t) - 1 for t in titles) for titles in encoded.titles) < len(whole)
    torch.testing.assert_close(trimmed, whole[layout.scored.states], atol=2e-5, rtol=1e-5)


def test_other_families_keep_their_layers() -> None:
    model = random_lm("gemma3", torch.float32)
    enable_split(model)
    assert not any(is_shortened(part) for part in model.modules())


def test_a_copy_computes_with_its_own_weights() -> None:
    model = random_peft("llama", torch.float32)
    enable_split(causal_lm(model))
    encoded = random_encoded(0, rows=1, n=2)
    scorer, other = CandidateScorer(model, Split()), CandidateScorer(copy.deepcopy(model), Split())
    layout = Split().layout(encoded, CPU)
    with torch.no_grad():
        before = scorer(layout)
        for p in other.parameters():
            p.zero_()
        assert torch.equal(scorer(layout), before)
        # all weights 0: every token of the 320 is as likely as any other
        expected = -torch.log(torch.tensor(320.0)) * torch.tensor([[len(t) for t in encoded.titles[0]]])
        torch.testing.assert_close(other(layout), expected)


def test_gradients_under_autocast_are_as_near_to_float32_as_those_of_the_naive_form() -> None:
    encoded = random_encoded(13, rows=3, n=4)

    def gradient(engine: Any, autocast: bool) -> torch.Tensor:
        model = random_peft("llama", torch.float32)
        if engine.name == "split":
            enable_split(causal_lm(model))
        scorer = CandidateScorer(model, engine)
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            scores = scorer(engine.layout(encoded, CPU))
        return adapter_gradients(model, torch.log_softmax(scores / 10, -1)[:, 0].sum())

    exact = gradient(Naive(), autocast=False)
    assert relative(gradient(Split(), autocast=False), exact) < 1e-5
    assert relative(gradient(Split(), autocast=True), exact) < 2 * relative(gradient(Naive(), autocast=True), exact)


def test_the_judge_of_the_start_up_check_computes_with_the_models_own_layers() -> None:
    model = random_peft("llama", torch.float32)
    enable_split(causal_lm(model))
    scorer = CandidateScorer(model, Split())
    assert check_engine(scorer, random_encoded(0, 2, 2), torch.float32) == ""
    wrong = next(part for part in model.modules() if getattr(part, "lora_A", None))
    del wrong.forward
    shorten(wrong, shorter(lambda self, x: low_rank_forward(self, x) * 1.5))
    problem = check_engine(scorer, random_encoded(0, 2, 2), torch.float32)
    assert "differs from `naive`" in problem
    assert scorer.engine.name == "naive"
    assert not any(is_shortened(part) for part in model.modules())


def test_a_forward_that_somebody_else_has_set_stays() -> None:
    model = random_peft("llama", torch.float32)
    part = next(part for part in model.modules() if getattr(part, "lora_A", None))
    part.forward = mine = lambda x: x
    join_adapters(model)
    assert part.forward is mine
    with own_forwards(model):
        assert part.forward is mine
