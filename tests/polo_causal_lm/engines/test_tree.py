"""Titles scored as a tree: what the naive form gives, in passes that stay small however many titles there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from polo import InputError
from polo_causal_lm.engines import tree_attention
from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.check import check_tree
from polo_causal_lm.engines.choose import FEW, choose_engine, choose_tree
from polo_causal_lm.engines.naive import Naive
from polo_causal_lm.engines.tree import tree_passes, tree_scores
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from tests.polo_causal_lm.world import (
    VOCAB,
    catalogue,
    keep_float64,
    random_encoded,
    random_lm,
    random_peft,
    tree_scorer,
)

CPU = torch.device("cpu")
FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "mistral_window", "gemma3", "gemma3_window"]


@torch.no_grad()
def naive(family: str, dtype: torch.dtype, encoded: Encoded) -> torch.Tensor:
    model = random_peft(family, dtype)
    judge = CandidateScorer(keep_float64(model) if dtype == torch.float64 else model, Naive()).eval()
    found: torch.Tensor = judge(Naive().layout(encoded, CPU))
    return found


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 2e-5)])
def test_the_tree_equals_naive_in_one_pass_and_in_many(family: str, dtype: torch.dtype, tolerance: float) -> None:
    encoded = random_encoded(30, rows=3, n=20)
    expected = naive(family, dtype, encoded)
    scorer = tree_scorer(family, dtype)
    for budget, passes in ((10_000, 1), (60, 5), (1, 60)):
        assert len(list(tree_passes(encoded, budget, CPU))) >= passes
        torch.testing.assert_close(tree_scores(scorer, encoded, budget, CPU), expected, atol=tolerance, rtol=0)


def test_queries_in_parts_equal_queries_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    encoded, scorer = random_encoded(31, rows=2, n=20), tree_scorer("mistral_window", torch.float64)
    whole = tree_scores(scorer, encoded, 1000, CPU)
    monkeypatch.setattr(tree_attention, "ENTRIES", 1500)
    torch.testing.assert_close(tree_scores(scorer, encoded, 1000, CPU), whole, atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    "titles",
    [
        [[2]],
        [[2], [5, 2]],
        [[5, 2], [5, 2]],
        [[5, 6, 7, 2], [5, 6, 2], [5, 2], [6, 2], [5, 2, 2]],
    ],
    ids=["nothing but the end", "the end and a token", "twice the same", "one within another"],
)
@pytest.mark.parametrize("prompt", [1, 2, 9])
def test_odd_titles_and_short_prompts_equal_naive(titles: list[list[int]], prompt: int) -> None:
    encoded = Encoded([np.arange(3, 3 + prompt)], [[np.array(title) for title in titles]])
    expected = naive("llama", torch.float64, encoded)
    for budget in (1000, 1):
        found = tree_scores(tree_scorer("llama", torch.float64), encoded, budget, CPU)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_a_few_long_titles_among_short_ones_equal_naive() -> None:
    rng = np.random.default_rng(3)
    titles = [np.append(rng.integers(3, VOCAB, length), 2) for length in (1, 70, 2, 7, 8, 9, 15, 16, 33, 3)]
    titles.append(np.append(titles[1][:50], 2))
    encoded = Encoded(random_encoded(35, rows=2, n=1).prompts, [titles] * 2)
    for family in ("llama", "mistral_window"):
        expected = naive(family, torch.float64, encoded)
        found = tree_scores(tree_scorer(family, torch.float64), encoded, 200, CPU)
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_rows_of_one_catalogue_equal_rows_with_lists_of_their_own() -> None:
    scorer, titles = tree_scorer("qwen3", torch.float64), catalogue(0, 50)
    prompts = random_encoded(32, rows=3, n=1).prompts
    alone = [tree_scores(scorer, Encoded([prompt], [titles]), 40, CPU) for prompt in prompts]
    together = tree_scores(scorer, Encoded(prompts, [titles] * 3), 40, CPU)
    torch.testing.assert_close(together, torch.cat(alone), atol=1e-12, rtol=0)


def test_a_window_left_out_of_the_tree_is_far_off(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the window guards against: without it scores are wrong, and nothing but the check complains."""
    scorer, encoded = tree_scorer("mistral_window", torch.float32), random_encoded(33, rows=2, n=3)
    assert check_tree(scorer, encoded, torch.float32) == ""
    some = tree_attention._some

    def blind(*args: Any) -> torch.Tensor:
        *others, asked = args
        return some(*others, tree_attention.Asked(asked.layer, asked.dropout, asked.scaling))

    monkeypatch.setattr(tree_attention, "_some", blind)
    assert "the tree differs from `naive`" in check_tree(scorer, encoded, torch.float32)


class Largest(TorchDispatchMode):
    """Remembers how many entries the largest tensor had that any operation made."""

    def __init__(self) -> None:
        super().__init__()
        self.entries = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Sequence[Any] = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for one in out if isinstance(out, (tuple, list)) else [out]:
            if isinstance(one, torch.Tensor):
                self.entries = max(self.entries, one.numel())
        return out


def test_four_times_the_titles_need_no_larger_tensor_and_no_longer_pass() -> None:
    scorer, prompt = tree_scorer("llama", torch.float32), np.arange(3, 20)
    sizes = []
    for n in (1000, 4000):
        encoded = Encoded([prompt], [catalogue(1, n)])
        with Largest() as largest:
            tree_scores(scorer, encoded, 500, CPU)
        sizes.append(largest.entries)
        assert max(one.layout.ids.numel() for one in tree_passes(encoded, 500, CPU)) <= 500
    # 500 states and the vocabulary: the logits of one pass are the largest thing; the trees have 2,164 and 7,763 nodes
    assert max(sizes) <= 500 * VOCAB


def test_a_hundred_thousand_titles_are_scored_in_passes_of_the_budget() -> None:
    """Of 4 to 10 tokens and the end token, 800,000 in all. Every 5,000th score against the naive form."""
    scorer, prompt, titles = tree_scorer("llama", torch.float32), np.arange(3, 20), catalogue(2, 100_000, 4, 10)
    found = tree_scores(scorer, Encoded([prompt], [titles]), 4096, CPU)
    some = np.arange(0, 100_000, 5_000)
    expected = naive("llama", torch.float32, Encoded([prompt], [[titles[i] for i in some]]))
    torch.testing.assert_close(found[:, torch.from_numpy(some)], expected, atol=2e-5, rtol=0)
    assert bool(torch.isfinite(found).all())


def test_bfloat16_as_a_tree_is_as_near_to_float32_as_the_naive_form_is() -> None:
    encoded = random_encoded(34, rows=3, n=20)
    exact = naive("llama", torch.float32, encoded)
    off = float((naive("llama", torch.bfloat16, encoded) - exact).abs().max())
    found = tree_scores(tree_scorer("llama", torch.bfloat16), encoded, 60, CPU)
    assert found.dtype == torch.float32
    assert 0 < float((found - exact).abs().max()) < 2 * off


def test_under_autocast_the_tree_is_as_near_to_float32_as_the_naive_form_is() -> None:
    encoded = random_encoded(36, rows=3, n=20)
    exact = naive("llama", torch.float32, encoded)
    with torch.autocast("cpu", torch.bfloat16):
        off = float((naive("llama", torch.float32, encoded) - exact).abs().max())
        found = tree_scores(tree_scorer("llama", torch.float32), encoded, 60, CPU)
    assert 0 < float((found - exact).abs().max()) < 2 * off


def test_the_tree_is_taken_for_long_lists_where_the_model_allows_it() -> None:
    model = random_lm("llama", torch.float32)
    engine, _ = choose_engine("auto", model, 128)
    assert choose_tree("auto", engine, model)[:2] == (True, FEW)
    assert choose_tree("always", engine, model)[:2] == (True, 0)
    assert choose_tree("never", engine, model)[:2] == (False, FEW)


@pytest.mark.parametrize(("family", "why"), [("gemma2", "eager"), ("llama", "shares nothing")])
def test_a_model_that_rules_the_tree_out_says_why(family: str, why: str) -> None:
    model = random_lm(family, torch.float32)
    engine, _ = choose_engine("naive" if family == "llama" else "auto", model, 128)
    tree, few, reason = choose_tree("auto", engine, model)
    assert (tree, few) == (False, FEW)
    assert why in reason
    with pytest.raises(InputError, match=why):
        choose_tree("always", engine, model)


def test_the_models_own_forward_is_the_same_with_the_trees_attention_in_it() -> None:
    ids, model = torch.arange(3, 40)[None], random_peft("mistral_window", torch.float32)
    engine, _ = choose_engine("auto", model, 128)
    lm = causal_lm(model)
    with torch.no_grad():
        expected, before = lm(ids).logits, lm.config._attn_implementation
        choose_tree("auto", engine, model)
        assert torch.equal(lm(ids).logits, expected)
    assert lm.config._attn_implementation != before
