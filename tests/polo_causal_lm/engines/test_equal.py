"""All engines give the same log-probabilities and the same adapter gradients as the naive form, for every family."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from polo_causal_lm.engines import head, long_attention
from polo_causal_lm.engines.attention import Batched, RowByRow
from polo_causal_lm.engines.base import Engine, causal_lm
from polo_causal_lm.engines.long_attention import InGroups
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.packed import Packed
from polo_causal_lm.engines.split import Split, enable_split
from polo_causal_lm.loading import enable_checkpointing
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from tests.polo_causal_lm.world import (
    VOCAB,
    adapter_gradients,
    keep_float64,
    packed,
    random_encoded,
    random_peft,
    relative,
    take,
)

CPU = torch.device("cpu")
PLAIN = ["llama", "qwen2", "qwen3", "mistral", "gemma3"]
WINDOWED = ["mistral_window", "gemma3_window"]


def scores(model: Any, engine: Engine, encoded: Encoded) -> torch.Tensor:
    if engine.name == "split":
        enable_split(causal_lm(model))
    scorer = CandidateScorer(model, engine)
    result: torch.Tensor = scorer(engine.layout(encoded, CPU))
    return result


def loss(found: torch.Tensor) -> torch.Tensor:
    """Something that weighs every score differently, with curvature: a softmax over candidates and a plain sum."""
    weights = torch.linspace(-1, 2, found.numel(), dtype=found.dtype).reshape(found.shape)
    return -torch.log_softmax(found / 10, dim=-1)[:, 0].sum() + (weights * found).sum()


def compare(model: Any, engine: Engine, encoded: Encoded, atol: float, gradient: float) -> None:
    expected = scores(model, Naive(), encoded)
    found = scores(model, engine, encoded)
    torch.testing.assert_close(found, expected, atol=atol, rtol=0)
    assert relative(adapter_gradients(model, loss(found)), adapter_gradients(model, loss(expected))) < gradient


@pytest.mark.parametrize("family", [*PLAIN, *WINDOWED])
def test_packed_equals_naive_in_float64(family: str) -> None:
    model = keep_float64(random_peft(family, torch.float64))
    compare(model, packed(model), random_encoded(1, rows=3, n=6), atol=1e-12, gradient=1e-12)


@pytest.mark.parametrize("together", [1, 6, 100])
@pytest.mark.parametrize("family", PLAIN)
def test_titles_in_groups_equal_naive_in_float64(family: str, together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_attention, "TOGETHER", together)
    model = keep_float64(random_peft(family, torch.float64))
    compare(model, Split(InGroups), random_encoded(2, rows=3, n=6), atol=1e-12, gradient=1e-12)


def test_long_titles_are_scored_in_groups_and_short_ones_beside_each_other() -> None:
    """Ten titles of 2 to 60 tokens: more than 512 together, and none is padded: attention has its own tokens alone."""
    model = keep_float64(random_peft("llama", torch.float64))
    rng = np.random.default_rng(0)
    titles = [[np.append(rng.integers(3, VOCAB, n), 2) for n in (60, 2, 120, 59, 60, 90, 60, 0, 60, 58)]] * 2
    encoded = Encoded([rng.integers(3, VOCAB, n) for n in (20, 9)], titles)
    layout = Split().layout(encoded, torch.device("cpu"))
    assert isinstance(layout.extra["polo_attention"], InGroups)
    assert layout.ids.shape == (1, 20 + 9 + 2 * 569)
    compare(model, Split(), encoded, atol=1e-12, gradient=1e-12)
    short = Split().layout(random_encoded(2, rows=3, n=6), torch.device("cpu"))
    assert isinstance(short.extra["polo_attention"], RowByRow)


@pytest.mark.parametrize("attend", [RowByRow, Batched])
@pytest.mark.parametrize("family", PLAIN)
def test_split_equals_naive_in_float64(family: str, attend: Any) -> None:
    model = keep_float64(random_peft(family, torch.float64))
    compare(model, Split(attend), random_encoded(2, rows=3, n=6), atol=1e-12, gradient=1e-12)


@pytest.mark.parametrize("family", [*PLAIN, *WINDOWED, "gemma2"])
def test_packed_equals_naive_in_float32(family: str) -> None:
    model = random_peft(family, torch.float32)
    compare(model, packed(model), random_encoded(3, rows=3, n=6), atol=2e-5, gradient=5e-6)


@pytest.mark.parametrize("attend", [RowByRow, Batched])
@pytest.mark.parametrize("family", PLAIN)
def test_split_equals_naive_in_float32(family: str, attend: Any) -> None:
    model = random_peft(family, torch.float32)
    compare(model, Split(attend), random_encoded(4, rows=3, n=6), atol=2e-5, gradient=5e-6)


@pytest.mark.parametrize("family", ["llama", *WINDOWED])
def test_naive_padded_left_equals_naive_padded_right(family: str) -> None:
    model = keep_float64(random_peft(family, torch.float64))
    compare(model, Naive("left"), random_encoded(5, rows=3, n=3), atol=1e-12, gradient=1e-12)


@pytest.mark.parametrize("engine", ["packed", "split"])
@pytest.mark.parametrize(("n", "longest"), [(1, 4), (4, 1), (40, 3)])
def test_target_alone_titles_of_one_token_and_many_candidates(engine: str, n: int, longest: int) -> None:
    model = keep_float64(random_peft("llama", torch.float64))
    encoded = random_encoded(6, rows=2, n=n, longest=longest)
    compare(model, packed(model) if engine == "packed" else Split(), encoded, atol=1e-12, gradient=1e-12)


def test_titles_of_no_token_but_the_end_need_no_title_part() -> None:
    model = keep_float64(random_peft("llama", torch.float64))
    encoded = random_encoded(7, rows=2, n=1)
    encoded = Encoded(encoded.prompts, [[title[-1:] for title in titles] for titles in encoded.titles])
    compare(model, Split(RowByRow), encoded, atol=1e-12, gradient=1e-12)
    compare(model, Split(Batched), encoded, atol=1e-12, gradient=1e-12)
    compare(model, packed(model), encoded, atol=1e-12, gradient=1e-12)


@pytest.mark.parametrize("engine", ["packed", "split"])
def test_two_passes_equal_one(engine: str) -> None:
    model = keep_float64(random_peft("llama", torch.float64))
    encoded = random_encoded(8, rows=6, n=4)
    use = packed(model) if engine == "packed" else Split()
    whole = scores(model, use, encoded)
    parts = [scores(model, use, take(encoded, rows)) for rows in (slice(0, 2), slice(2, 6))]
    torch.testing.assert_close(torch.cat(parts), whole, atol=1e-12, rtol=1e-12)
    in_parts = sum(adapter_gradients(model, part.sum()) for part in parts)
    assert isinstance(in_parts, torch.Tensor)
    assert relative(in_parts, adapter_gradients(model, whole.sum())) < 1e-12


@pytest.mark.parametrize("engine", ["packed", "split"])
@pytest.mark.parametrize("reentrant", [True, False])
def test_gradient_checkpointing_changes_nothing(engine: str, reentrant: bool) -> None:
    model = random_peft("llama", torch.float32)
    encoded = random_encoded(9, rows=2, n=4)
    use = packed(model) if engine == "packed" else Split()
    plain = scores(model, use, encoded)
    expected = adapter_gradients(model, loss(plain))
    enable_checkpointing(causal_lm(model), reentrant=reentrant)
    model.train()  # transformers checkpoints in training mode only; there is no dropout here
    found = scores(model, use, encoded)
    assert torch.equal(found, plain)
    model.zero_grad()
    loss(found).backward()
    flat = torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad and p.grad is not None])
    assert relative(flat, expected) < 1e-6


@pytest.mark.parametrize("engine", ["packed", "split"])
def test_chunked_head_equals_whole_head(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model = keep_float64(random_peft("llama", torch.float64))
    encoded = random_encoded(10, rows=3, n=6)
    use = packed(model) if engine == "packed" else Split()
    whole = scores(model, use, encoded)
    expected = adapter_gradients(model, loss(whole))
    monkeypatch.setattr(head, "CHUNK", 7)
    found = scores(model, use, encoded)
    torch.testing.assert_close(found, whole, atol=1e-12, rtol=1e-12)
    assert relative(adapter_gradients(model, loss(found)), expected) < 1e-12


@pytest.mark.parametrize("family", WINDOWED)
def test_a_window_left_out_of_the_mask_is_far_off(family: str) -> None:
    """What the window in the mask guards against: without it scores are wrong, and nothing complains."""
    model = random_peft(family, torch.float32)
    config = causal_lm(model).config
    blind = Packed(config, {"full_attention": None}, torch.float32)
    encoded = random_encoded(11, rows=2, n=3)
    with torch.no_grad():
        off = scores(model, blind, encoded) - scores(model, Naive(), encoded)
    assert float(off.abs().max()) > 0.1


def test_bfloat16_packed_and_split_are_as_near_to_float32_as_naive_is() -> None:
    exact = scores(random_peft("llama", torch.float32), Naive(), random_encoded(12, rows=3, n=6))
    model = random_peft("llama", torch.float32)
    encoded = random_encoded(12, rows=3, n=6)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        off = {
            e.name: float((scores(model, e, encoded) - exact).abs().max()) for e in (Naive(), packed(model), Split())
        }
    assert off["packed"] < 3 * off["naive"]
    assert off["split"] < 3 * off["naive"]
