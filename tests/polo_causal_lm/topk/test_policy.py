"""``top_items`` of the policy: what ``score_many`` ranks, whichever engine scores, on the toy and on real titles."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from polo import Choice, InputError, Ragged, Sequences, TopItems
from polo_causal_lm.options import CausalLMOptions, PromptOptions, TinyLMOptions
from polo_causal_lm.policy import CausalLM
from polo_datasets.lastfm import LastFM
from polo_datasets.options import LastFMOptions
from tests.polo_causal_lm.topk.worlds import judged, policy
from tests.polo_causal_lm.world import TITLES, context, save_base, toy_splits
from tests.real_data import context as real_context
from tests.real_data import real_data


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_base(tmp_path_factory.mktemp("base") / "llama", dtype=torch.float64)


@pytest.mark.parametrize(
    ("options", "ranking"),
    [
        ({}, "sum"),
        ({}, "mean"),
        ({"tree": "never"}, "mean"),
        ({"engine": "packed"}, "sum"),
        ({"engine": "naive"}, "sum"),
    ],
    ids=str,
)
def test_the_best_items_are_those_of_scoring_all(
    base: Path, tmp_path: Path, options: dict[str, Any], ranking: Any
) -> None:
    # two items with the title of item 0: equal scores, ranked by item number
    made = policy(base, tmp_path, toy_splits(titles=[*TITLES, TITLES[0], TITLES[0]]), **options)
    assert isinstance(made, TopItems)
    rows = toy_splits().train[np.arange(4)]
    scores = judged(made, rows) / (made.texts.title_lengths if ranking == "mean" else 1)
    known = Ragged.of([[3], [], [0, 5, 7], list(range(2, 12))])
    top = made.top_items(rows, 5, without=known, ranking=ranking)
    assert top.proven.all()
    for row in range(4):
        left = np.setdiff1d(np.arange(12), known[np.array([row])].items)
        expected = left[np.argsort(-scores[row, left].round(9), kind="stable")][:5]
        found = top.items[row][top.items[row] >= 0]
        assert found.tolist() == expected.tolist()
        np.testing.assert_allclose(top.scores[row, : len(found)], scores[row, expected], atol=1e-9)
    assert top.items[3, 2:].tolist() == [-1, -1, -1]  # two items are left, and nothing else is possible
    assert np.isneginf(top.scores[3, 2:]).all()


def test_stopped_early_it_says_what_is_proven(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train[np.arange(3)]
    whole = made.top_items(rows, 6)
    sure = []
    for nodes in range(0, 30, 3):
        top = made.top_items(rows, 6, nodes=nodes)
        assert (top.items[top.proven] == whole.items[top.proven]).all()
        sure.append(int(top.proven.sum()))
    assert sure[0] == 0
    assert sure[-1] == 18
    assert any(0 < one < 18 for one in sure)


def test_numbers_that_mean_nothing_and_shown_lists_are_refused(base: Path, tmp_path: Path) -> None:
    made, rows = policy(base, tmp_path), toy_splits().train[np.arange(2)]
    for bad, what in (({"k": 0}, "0 places"), ({"k": 1, "nodes": -1}, "-1 nodes")):
        with pytest.raises(InputError, match=what):
            made.top_items(rows, **bad)
    with pytest.raises(InputError, match="1 lists for 2 rows"):
        made.top_items(rows, 1, without=Ragged.of([[1]]))
    shown = policy(base, tmp_path, prompt=PromptOptions(candidates="shown"))
    with pytest.raises(InputError, match="shows a list"):
        shown.top_items(rows, 1)


def test_on_lastfm_the_best_ten_are_those_of_scoring_all(tmp_path: Path) -> None:
    """4,606 artists, 8 rows of the test split, a small model of 30 users; float32, so near-equal ones may swap."""
    splits = LastFM(LastFMOptions(path=real_data("lastfm-hetrec")), real_context(tmp_path)).load()
    some = splits.sequences
    few = Sequences.of(some.user[:30].tolist(), [some[i].tolist() for i in range(30)])
    small = TinyLMOptions(hidden=32, layers=2, heads=2, vocab=1000, epochs=1)
    options = CausalLMOptions(base=Choice("base", "tiny_lm", small))
    made = CausalLM(options, context(tmp_path, replace(splits, sequences=few)))
    made.module.eval()
    rows = splits.test[np.arange(0, len(splits.test), len(splits.test) // 8)]
    scores, top = judged(made, rows), made.top_items(rows, 10)
    assert top.proven.all()
    np.testing.assert_allclose(top.scores, -np.sort(-scores, axis=1)[:, :10], atol=1e-3)
    np.testing.assert_allclose(top.scores, np.take_along_axis(scores, top.items, axis=1), atol=1e-3)
    assert all(len(set(row)) == 10 for row in top.items.tolist())
