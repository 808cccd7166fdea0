"""Which engine a model gets, and what happens where an engine is wrong for a model."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import InputError
from polo_causal_lm.engines import fields
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.check import check_base, check_engine
from polo_causal_lm.engines.choose import choose_engine
from polo_causal_lm.engines.masks import layer_windows, length_limit, model_mask
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.packed import Packed, allowed_pairs
from polo_causal_lm.loading import add_lora
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.options import LoraOptions
from polo_causal_lm.quiet import quiet
from polo_causal_lm.text import Encoded
from tests.polo_causal_lm.world import FAMILIES, SMALL, VOCAB, random_encoded, random_lm, random_peft, take


@pytest.mark.parametrize(
    ("family", "longest", "engine", "why"),
    [
        ("llama", 512, "split", "sdpa"),
        ("qwen3", 512, "split", "sdpa"),
        ("mistral", 512, "split", "sdpa"),
        ("mistral_window", 512, "packed", "window"),
        ("mistral_window", 7, "split", "no window shorter"),
        ("gemma3_window", 512, "packed", "window"),
        ("gemma3", 256, "split", "sdpa"),
        ("gemma2", 512, "packed", "eager"),
    ],
)
def test_auto_takes_the_fastest_engine_that_the_model_allows(family: str, longest: int, engine: str, why: str) -> None:
    found, reason = choose_engine("auto", random_lm(family, torch.float32), longest)
    assert found.name == engine
    assert why in reason


def test_an_engine_that_the_model_rules_out_is_refused() -> None:
    with pytest.raises(InputError, match="sliding window"):
        choose_engine("split", random_lm("mistral_window", torch.float32), 512)


def test_layers_of_an_unknown_kind_leave_the_naive_form() -> None:
    model = random_lm("qwen3", torch.float32)
    model.config.layer_types = ["full_attention", "chunked_attention"]
    found, reason = choose_engine("auto", model, 512)
    assert found.name == "naive"
    assert "chunked_attention" in reason
    with pytest.raises(InputError, match="chunked_attention"):
        choose_engine("packed", model, 512)


def test_the_check_finds_a_mask_without_the_window_and_falls_back() -> None:
    model = random_peft("mistral_window", torch.float32)
    scorer = CandidateScorer(model, Packed(causal_lm(model).config, {"full_attention": None}, torch.float32))
    problem = check_engine(scorer, random_encoded(0, rows=2, n=2), torch.float32)
    assert "packed" in problem
    assert scorer.engine.name == "naive"


def test_the_check_finds_a_boolean_mask_under_eager_attention_and_falls_back() -> None:
    model = random_peft("gemma2", torch.float32)
    config = causal_lm(model).config
    windows = layer_windows(config)
    assert windows is not None
    boolean = Packed(SimpleNamespace(_attn_implementation="sdpa"), windows, torch.float32)
    scorer = CandidateScorer(model, boolean)
    assert check_engine(scorer, random_encoded(0, rows=2, n=2), torch.float32)
    right = CandidateScorer(model, Packed(config, windows, torch.float32))
    assert check_engine(right, random_encoded(0, rows=2, n=2), torch.float32) == ""


def test_the_check_survives_a_model_that_refuses_the_mask() -> None:
    """Llama takes no mapping of masks: that it fails is the check's finding, not a crash."""
    model = random_peft("llama", torch.float32)
    windows = {"full_attention": None, "sliding_attention": 3}
    scorer = CandidateScorer(model, Packed(causal_lm(model).config, windows, torch.float32))
    assert "fails on this model" in check_engine(scorer, random_encoded(0, rows=2, n=2), torch.float32)
    assert scorer.engine.name == "naive"


def test_windows_are_measured_on_positions_not_on_places() -> None:
    """A prompt of 2 tokens and two titles of 1: the second title stands at place 3 but at position 2.

    With a window of 2 it sees position 1 and itself; measured on places it would see itself alone.
    """
    segments = torch.tensor([[-1, -1, 0, 1]])
    positions = torch.tensor([[0, 1, 2, 2]])
    config = SimpleNamespace(_attn_implementation="sdpa")
    mask = model_mask(allowed_pairs(segments), positions, {"full_attention": 2}, config, torch.float32)
    assert isinstance(mask, torch.Tensor)
    assert mask[0, 0].int().tolist() == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 1]]


def test_masks_for_eager_attention_are_added() -> None:
    config = SimpleNamespace(_attn_implementation="eager")
    mask = model_mask(
        allowed_pairs(torch.tensor([[-1, -1]])), torch.tensor([[0, 1]]), {"full_attention": None}, config, torch.float32
    )
    assert isinstance(mask, torch.Tensor)
    assert mask[0, 0].tolist() == [[0, torch.finfo(torch.float32).min], [0, 0]]


@pytest.mark.parametrize("wanted", ["packed", "split"])
def test_local_attention_that_no_window_field_tells_of_leaves_the_naive_form(wanted: Any) -> None:
    """GPT-Neo: every second layer sees `window_size` tokens; packed scores were 0.4 to 4.4 nats off."""
    model = random_lm("gpt_neo", torch.float32)
    found, reason = choose_engine("auto", model, 256)
    assert found.name == "naive"
    assert "window_size" in reason
    with pytest.raises(InputError, match="window_size"):
        choose_engine(wanted, model, 256)


def test_the_check_with_many_titles_finds_local_attention_by_itself() -> None:
    model = random_peft("gpt_neo", torch.float32)
    config = causal_lm(model).config
    scorer = CandidateScorer(model, Packed(config, {"full_attention": None}, torch.float32))
    assert "differs" in check_engine(scorer, random_encoded(0, rows=2, n=20), torch.float32)


@settings(max_examples=10)
@given(st.sampled_from(sorted(FAMILIES)), st.integers(0, 2**16))
def test_law_a_rows_score_does_not_depend_on_its_company(family: str, seed: int) -> None:
    """Within the limit that the config gives; of a longrope beyond it, the law is seen to fail."""
    model = random_peft(family, torch.float64, seed=1)
    config = causal_lm(model).config.get_text_config()
    limit = length_limit(config) or 40
    engine, _ = choose_engine("auto", model, limit)
    scorer = CandidateScorer(model, engine)
    rng = np.random.default_rng(seed)
    titles = [[rng.integers(3, VOCAB, rng.integers(1, 5)) for _ in range(3)] for _ in range(3)]
    prompts = [rng.integers(3, VOCAB, n) for n in (4, limit - 5, rng.integers(1, limit - 4))]
    together = Encoded(prompts, titles)

    def scores(encoded: Encoded) -> torch.Tensor:
        with torch.no_grad():
            found: torch.Tensor = scorer(scorer.engine.layout(encoded, torch.device("cpu")))
        return found

    alone = torch.cat([scores(take(together, slice(i, i + 1))) for i in range(3)])
    assert torch.allclose(scores(together), alone, atol=1e-5, rtol=0)


@pytest.mark.parametrize("family", ["phi3_long", "llama_dynamic"])
def test_beyond_the_limit_of_such_positions_a_score_does_depend_on_its_company(family: str) -> None:
    scorer = CandidateScorer(random_lm(family, torch.float64), Naive())
    short, long = np.arange(3, 13), np.arange(3, 43)
    title = [np.array([5, 6, 2])]
    device = torch.device("cpu")
    with torch.no_grad():
        alone = scorer(scorer.engine.layout(Encoded([short], [title]), device))
        beside = scorer(scorer.engine.layout(Encoded([short, long], [title, title]), device))
    assert length_limit(causal_lm(scorer.model).config) == 24
    assert float((alone - beside[:1]).abs().max()) > 1e-3


def test_a_field_that_nobody_has_looked_at_leads_to_naive_unless_an_engine_is_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Llama's code reads ``mlp_bias``; a list that does not hold it stands for a model with a field of its own."""
    model = random_lm("llama", torch.float32)
    causal_lm(model).config.mlp_bias = True
    monkeypatch.setattr(fields, "HARMLESS", fields.HARMLESS - {"mlp_bias"})
    found, reason = choose_engine("auto", model, 512)
    assert found.name == "naive"
    assert "`mlp_bias`" in reason
    assert choose_engine("packed", model, 512)[0].name == "packed"


CANNOT_SCORE: dict[str, tuple[Callable[[], Any], torch.dtype, str]] = {
    "Gemma-2 in float64": (lambda: FAMILIES["gemma2"](), torch.float64, "not finite.*float32"),
    "Mixtral in float64": (
        lambda: transformers.MixtralConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2),
        torch.float64,
        "RuntimeError.*float32",
    ),
    "Qwen3-MoE in float64": (
        lambda: transformers.Qwen3MoeConfig(**SMALL, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=16),
        torch.float64,
        "RuntimeError.*float32",
    ),
    "PhiMoE with adapters on its router": (
        lambda: transformers.PhimoeConfig(
            **{name: value for name, value in SMALL.items() if name != "head_dim"},
            num_local_experts=4,
            num_experts_per_tok=2,
        ),
        torch.float32,
        "all linear layers.*AttributeError.*q_proj",
    ),
    "an encoder": (
        lambda: transformers.BertConfig(
            vocab_size=VOCAB, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48
        ),
        torch.float32,
        "no causal language model.*decoder",
    ),
}


@pytest.mark.filterwarnings("ignore:.*is_decoder")
@pytest.mark.parametrize("name", CANNOT_SCORE)
def test_a_base_that_cannot_score_titles_is_refused_with_what_to_do(name: str) -> None:
    config, dtype, said = CANNOT_SCORE[name]
    with quiet():
        model = transformers.AutoModelForCausalLM.from_config(config(), attn_implementation="eager").to(dtype)
        generator = torch.Generator().manual_seed(0)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.25, generator=generator)
        if "PhiMoE" in name:
            model = add_lora(model, LoraOptions(r=4, dropout=0.0))
    scorer = CandidateScorer(model, Naive())
    with pytest.raises(InputError, match=f"(?s){said}"):
        check_base(scorer, random_encoded(0, rows=3, n=4), dtype, "LoRA on all linear layers")


def test_adapters_with_dropout_on_experts_are_refused_with_what_to_do() -> None:
    config = transformers.MixtralConfig(**SMALL, num_local_experts=4, num_experts_per_tok=2)
    with quiet():
        model = transformers.AutoModelForCausalLM.from_config(config)
        with pytest.raises(InputError, match=r"(?s)lora_dropout.*dropout: 0"):
            add_lora(model, LoraOptions(r=4, dropout=0.1))
