"""Which engine a model gets, and what happens where an engine is wrong for a model."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from polo import InputError
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.check import check_engine
from polo_causal_lm.engines.choose import choose_engine
from polo_causal_lm.engines.masks import layer_windows, model_mask
from polo_causal_lm.engines.packed import Packed, allowed_pairs
from polo_causal_lm.module import CandidateScorer
from tests.polo_causal_lm.world import random_encoded, random_lm, random_peft


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
