"""Laws of the tree of candidates, of the guard, and of both strategies over an engine whose truth is known."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from polo_vllm.worker.files import Row
from polo_vllm.worker.guard import UnreadableError, believable, title_sum
from polo_vllm.worker.probe import choose
from polo_vllm.worker.strategies import PromptLogprobs, Trie
from polo_vllm.worker.trie import asks, sums
from tests.polo_vllm.world import TableEngine

ids = st.lists(st.integers(0, 11), min_size=1, max_size=5)
titles = st.lists(ids, min_size=1, max_size=8)
prompts = st.lists(st.integers(0, 11), min_size=1, max_size=13)
rows = st.lists(st.builds(Row, row=st.integers(0, 99), prompt=prompts, titles=titles), min_size=1, max_size=4)


@given(titles, st.integers(1, 4))
def test_every_token_of_every_title_is_asked_about_exactly_once_per_place(given_: list[list[int]], widest: int) -> None:
    found = asks(given_, widest)
    asked = [(ask.prefix, child) for ask in found for child in ask.children]
    assert len(asked) == len(set(asked))
    assert set(asked) == {(tuple(t[:i]), t[i]) for t in given_ for i in range(len(t))}
    assert all(1 <= len(ask.children) <= widest for ask in found)


@given(titles)
def test_titles_that_begin_alike_share_questions(given_: list[list[int]]) -> None:
    distinct = {tuple(t[:i]) for t in given_ for i in range(len(t))}
    assert len(asks(given_)) == len(distinct)


def test_a_title_that_is_the_beginning_of_another_has_its_own_end() -> None:
    """log p = -1 + -2 for [5, 2]; -1 + -0.5 + -0.25 for [5, 6, 2]."""
    given_ = [[5, 2], [5, 6, 2]]
    assert sums(given_, asks(given_), [{5: -1.0}, {2: -2.0, 6: -0.5}, {2: -0.25}]) == [-3.0, -1.75]


def test_an_answer_without_the_child_that_was_asked_about_is_an_error() -> None:
    with pytest.raises(KeyError):
        sums([[5]], asks([[5]]), [{6: -1.0}])


@pytest.mark.parametrize("strategy", [Trie, PromptLogprobs])
@given(data=st.data())
def test_scores_are_the_exact_sums_whatever_the_cache_holds(strategy: Any, data: st.DataObject) -> None:
    """The engine answers for cached positions with leftovers, and prompts end on block boundaries in some examples."""
    some = data.draw(rows)
    engine = TableEngine(block=data.draw(st.integers(1, 5)))
    engine.warm([row.prompt for row in data.draw(rows)])
    scorer = strategy(engine, requests=data.draw(st.integers(1, 9)))
    for _ in range(2):
        for row, found in zip(some, scorer.score(some), strict=True):
            assert found == pytest.approx(engine.exact(row), abs=1e-12)


def test_a_prompt_that_ends_on_a_block_boundary_is_asked_about_again() -> None:
    engine = TableEngine(block=4)
    strategy = PromptLogprobs(engine)
    strategy.score([Row(0, [1, 2, 3, 4], [[5, 2], [6, 2]]), Row(1, [1, 2, 3], [[5, 2]])])
    assert strategy.repeated == 2


@given(st.integers(0, 50), st.integers(1, 50))
def test_what_came_from_the_cache_may_reach_up_to_the_token_before_the_last_of_the_prompt(cached: int, n: int) -> None:
    assert believable(cached, n) == (cached < n)


@pytest.mark.parametrize(
    "entries",
    [
        None,
        [{5: -1.0}],
        [{5: -1.0}, None],
        [{6: 0.0}, {2: -1.0}],
        [{5: float("nan")}, {2: -1.0}],
        [{5: 0.5}, {2: -1.0}],
    ],
)
def test_entries_that_are_not_about_the_title_are_refused(entries: Any) -> None:
    with pytest.raises(UnreadableError):
        title_sum(entries, [5, 2])


class _Broken(TableEngine):
    def __init__(self) -> None:
        super().__init__()
        self.restarts = 0

    def restart(self) -> None:
        self.restarts += 1

    def prompt_logprobs(self, prompts: Any, *, use_cache: bool) -> Any:
        raise RuntimeError("einsum(): subscript b has size 20")


class _Wrong(TableEngine):
    def prompt_logprobs(self, prompts: Any, *, use_cache: bool) -> Any:
        found = super().prompt_logprobs(prompts, use_cache=use_cache)
        return [(c, [None if e is None else {k: v - 0.5 for k, v in e.items()} for e in es]) for c, es in found]


def test_the_probe_takes_the_tree_where_the_other_way_fails_or_differs_and_says_why() -> None:
    some = [Row(0, [1, 2, 3], [[5, 2], [6, 2]])]
    broken: Any = _Broken()
    choice = choose(broken, some, "auto", 1e-3)
    assert (choice.strategy, broken.restarts) == ("trie", 1)
    assert "einsum" in choice.reason
    wrong: Any = _Wrong()
    choice = choose(wrong, some, "auto", 1e-3)
    assert choice.strategy == "trie"
    assert "differs from it by 1 nats" in choice.reason


def test_the_probe_does_as_told_and_never_asks_for_prompt_logprobs_with_adapters_on_a_cpu() -> None:
    engine: Any = _Broken()
    assert choose(engine, [], "prompt_logprobs", 1e-3).strategy == "prompt_logprobs"
    engine.on_cpu = engine.has_adapter = True
    assert choose(engine, [], "auto", 1e-3).strategy == "trie"
    with pytest.raises(ValueError, match="adapters"):
        choose(engine, [], "prompt_logprobs", 1e-3)
