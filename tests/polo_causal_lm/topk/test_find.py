"""The best titles by a real model: what scoring every title gives, whatever is kept and however passes are cut."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.engines.tree import tree_scores
from polo_causal_lm.text import Encoded
from polo_causal_lm.topk.best import token_bytes
from polo_causal_lm.topk.find import Machine, find
from polo_causal_lm.topk.search import Search, Wish
from polo_causal_lm.topk.titles import TitleTree
from tests.polo_causal_lm.world import catalogue, random_encoded, tree_scorer

CPU = torch.device("cpu")
FAMILIES = ["llama", "qwen2", "qwen3", "mistral", "mistral_window", "gemma3", "gemma3_window"]
PROMPTS = random_encoded(40, rows=3, n=1).prompts
TITLES = [*catalogue(4, 200, longest=9), np.array([2]), np.array([5, 2, 6, 2]), np.array([5, 2])]
TREE = TitleTree.of(TITLES)


class Counting:
    """A module that counts tokens and passes."""

    def __init__(self, scorer: Any) -> None:
        self.scorer, self.tokens, self.passes = scorer, 0, 0

    def __call__(self, layout: Any) -> torch.Tensor:
        self.tokens += layout.ids.numel()
        self.passes += 1
        return self.scorer(layout)  # type: ignore[no-any-return]


def searched(
    module: Any, wish: Wish, budget: int = 10_000, memory: int = 1 << 30, prompts: list[np.ndarray] = PROMPTS
) -> list[Search]:
    lm = causal_lm((module.scorer if isinstance(module, Counting) else module).model)
    searches = [Search(TREE, wish, np.empty(0, np.int64)) for _ in prompts]
    find(Machine(module, CPU, budget, memory), token_bytes(lm.config, lm.dtype), TREE, prompts, searches)
    return searches


def judged(scorer: Any, ranking: str) -> np.ndarray:
    scores = tree_scores(scorer, Encoded(PROMPTS, [TITLES] * len(PROMPTS)), 10_000, CPU).double().numpy()
    return scores / np.array([len(title) for title in TITLES]) if ranking == "mean" else scores


@pytest.mark.parametrize(("family", "ranking"), [*((family, "sum") for family in FAMILIES), ("llama", "mean")])
def test_the_best_titles_are_those_of_scoring_all(family: str, ranking: Any) -> None:
    scorer = tree_scorer(family, torch.float64)
    expected = judged(scorer, ranking)
    for row, search in enumerate(searched(scorer, Wish(20, ranking))):
        assert search.proven.all()
        # equal titles have exactly equal scores here, and nearly so there
        order = np.lexsort((np.arange(len(TITLES)), -expected[row].round(9)))[:20]
        assert search.items.tolist() == order.tolist()
        np.testing.assert_allclose(search.scores, expected[row, order], atol=1e-12)


def test_keys_that_were_dropped_are_made_again() -> None:
    scorer, runs = tree_scorer("mistral_window", torch.float64), []
    for budget, memory in ((10_000, 1 << 30), (10_000, 1), (25, 1 << 30), (25, 40_000)):
        module = Counting(scorer)
        runs.append((searched(module, Wish(20), budget, memory), module.tokens, module.passes))
    whole, tokens, passes = runs[0]
    for searches, *_ in runs[1:]:
        for search, expected in zip(searches, whole, strict=True):
            assert search.items.tolist() == expected.items.tolist()
            np.testing.assert_allclose(search.scores, expected.scores, atol=1e-12)
    assert runs[1][1] > tokens  # as few slots as a path needs: beginnings are computed again
    assert runs[2][1] == tokens  # small passes cost no token more
    assert runs[2][2] > 1.5 * passes


def test_rows_together_take_as_many_passes_as_the_longest_of_them_alone() -> None:
    scorer, alone, found = tree_scorer("llama", torch.float64), [], []
    for prompt in PROMPTS:
        module = Counting(scorer)
        found += searched(module, Wish(10), prompts=[prompt])
        alone.append(module.passes)
    module = Counting(scorer)
    together = searched(module, Wish(10))
    assert module.passes == max(alone)
    assert [one.items.tolist() for one in together] == [one.items.tolist() for one in found]
