"""The whole catalogue as a list: equal to explicit lists of all that is not masked, and held a block at a time."""

from __future__ import annotations

import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import Context, FloatArray, IntArray, Ragged, Rows, Splits
from polo.data import Whole
from polo.evaluate import whole
from polo.evaluate.metrics import System
from polo.evaluate.whole import Kept, blocks, measure, top
from polo.model.scoring import score_every, score_lists
from polo.plugin.load import load_plugins
from polo.protocols import ranking
from polo_metrics.catalogue import Coverage, PopularityLift
from polo_metrics.options import AtK
from polo_metrics.ranking import MAP, MRR, NDCG, HitRatio, Precision, Recall
from tests.toy_policy import ToyPolicy, toy_rows
from tests.toy_splits import splits_of

#: each baseline that needs no options; `random` draws by place in the list, so that it is another draw in another list
BASELINES = ("popularity", "item_knn", "markov", "ease", "ials")
K = (1, 3, 5, 200)


def world(seed: int, n_items: int, count: int, *, several: bool = False) -> tuple[Rows, Splits]:
    rng = np.random.default_rng(seed)
    sequences = [rng.permutation(n_items)[: rng.integers(2, 6)].tolist() for _ in range(9)]
    relevant = [rng.permutation(n_items)[: rng.integers(1, 4)].tolist() for _ in range(count)]
    without = []
    for one in relevant:
        out = np.setdiff1d(rng.permutation(n_items)[: rng.integers(0, n_items - 4)], one)
        without.append(out.tolist())
    rows = Rows(
        np.arange(count), np.arange(count) % 9, rng.integers(-1, n_items, (count, 3)),
        np.array([one[0] for one in relevant]), None, Ragged.of(relevant) if several else None,
        Whole(n_items, Ragged.of(without)),
    )  # fmt: skip
    return rows, splits_of(sequences, n_items)


def evaluators(splits: Splits) -> list[Any]:
    context = Context(seed=0, cache=Path(), build=lambda choice: None, splits=splits)
    cut = AtK(k=K)
    ranks = [one(cut, context) for one in (HitRatio, Recall, Precision, NDCG, Coverage, PopularityLift)]
    return [*ranks, MRR(None, context), MAP(None, context)]


def explicit(rows: Rows) -> list[Rows]:
    """Row by row, with a list of all that is not masked."""
    assert rows.whole is not None
    found = []
    for i in range(len(rows)):
        without = rows.whole.without[np.array([i])].items
        listed = np.setdiff1d(np.arange(rows.whole.n_items), without)[None]
        relevant = None if rows.relevant is None else rows.relevant[np.array([i])]
        here = slice(i, i + 1)
        found.append(Rows(rows.id[here], rows.user[here], rows.history[here], rows.target[here], listed, relevant))
    return found


def same(rows: Rows, splits: Splits, score: Any) -> None:
    """Metrics, totals and places of the whole catalogue against those of explicit lists; ``score(rows)``: scores."""
    judges = evaluators(splits)
    kept = Kept("it", measure(rows, judges, lambda block: (score(block), None)))
    lists = [(one, System("it", score(one))) for one in explicit(rows)]
    values = [system.values(one, judges) for one, system in lists]
    found = kept.values(rows, judges)
    assert found.keys() == values[0].keys()
    for name, column in found.items():
        assert column == pytest.approx(np.concatenate([one[name] for one in values]), abs=1e-12), name
    above, tied = kept.places(rows)
    for i, (one, system) in enumerate(lists):
        assert [int(x[0]) for x in system.places(one)] == [above[i], tied[i]]
    # what is no mean over rows: totals of the rows' lists add up
    for judge in judges:
        if isinstance(judge, Coverage):
            each = [judge.totals(system.rankings(one)[""]) for one, system in lists]
            summed = {name: np.sum([part[name] for part in each], axis=0) for name in each[0]}
            assert judge.figures(summed) == pytest.approx(kept.figures(rows, judges))


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 12), st.integers(1, 7), st.booleans(), st.integers(1, 30))
def test_law_all_is_the_list_of_all_unmasked_items(
    seed: int, n_items: int, count: int, several: bool, entries: int
) -> None:
    """With many ties (three values of scores), whatever the size of a block."""
    rows, splits = world(seed, n_items, count, several=several)
    table = np.random.default_rng(seed).integers(0, 3, (count, n_items)).astype(np.float64)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(whole, "ENTRIES", entries)
        same(rows, splits, lambda part: np.take_along_axis(table[part.id], part.candidates, axis=1))


@settings(max_examples=20, deadline=None)
@given(st.integers(1, 5000), st.integers(0, 10_000), st.sampled_from([np.float32, np.float64]))
def test_law_places_are_counts_whatever_the_length_of_a_list(width: int, seed: int, kind: type) -> None:
    """Up to more columns than the bytes in which eight are counted at a time can hold, in rows of 0 to 4 items."""
    rng = np.random.default_rng(seed)
    scores = rng.integers(0, 3, (5, width)).astype(kind)
    row = np.repeat(np.arange(5), rng.integers(0, 5, 5))
    column = rng.integers(0, width, len(row))
    found = ranking._standing(scores, row, column)
    for i, (line, place) in enumerate(zip(row, column, strict=True)):
        assert found.above[i] == (scores[line] > scores[line, place]).sum()
        assert found.tied[i] == (scores[line] == scores[line, place]).sum() - 1


@pytest.mark.parametrize("name", BASELINES)
def test_law_every_baseline_ranks_all_as_it_ranks_the_list_of_all(name: str) -> None:
    rows, splits = world(3, 11, 8)
    catalogue = load_plugins().catalogue
    context = Context(seed=0, cache=Path(), build=lambda choice: None, splits=splits)
    entry = catalogue.find("baseline", name)
    options = entry.load_options()
    baseline = entry.load_build()(None if options is None else options(), context)
    baseline.fit(splits)
    same(rows, splits, lambda part: baseline.score(part, part.candidates).round(9))


def test_a_policy_ranks_all_as_it_ranks_the_list_of_all() -> None:
    rows, splits = world(5, 40, 6)
    policy = ToyPolicy()

    def score(part: Rows) -> FloatArray:
        assert part.candidates is not None
        return score_lists(policy, part, part.candidates, 10_000)[0]

    same(rows, splits, score)


class Vectors(ToyPolicy):
    """The same table with scores that are inner products; counts what it is asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    def user_vectors(self, rows: Rows) -> torch.Tensor:
        self.asked.append("users")
        return self.module.inside(torch.from_numpy(rows.history[:, -1].clip(0)))

    def item_vectors(self) -> torch.Tensor:
        self.asked.append("items")
        return self.module.outside.weight

    def vectors(self, rows: Rows) -> tuple[torch.Tensor, torch.Tensor]:
        return self.user_vectors(rows), self.item_vectors()

    def score(self, rows: Rows, items: torch.Tensor) -> torch.Tensor:
        return torch.einsum("bd,bnd->bn", self.user_vectors(rows), self.item_vectors()[items])


def test_a_policy_that_embeds_gives_its_items_once(monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = world(5, 40, 6)
    monkeypatch.setattr(whole, "ENTRIES", 80)
    policy = Vectors()
    found = measure(rows, (), score_every(policy, 10_000))
    assert policy.asked == ["items", "users", "users", "users"]
    expected = policy.score(rows, torch.from_numpy(rows.target[:, None])).detach().numpy()[:, 0]
    assert found["score"].to_numpy() == pytest.approx(expected)
    assert policy.module.training


def test_the_best_are_in_order_and_equal_ones_by_number() -> None:
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 6, (20, 50)).astype(np.float64)
    items, found = top(scores, 10)
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :10]
    assert (items == expected).all()
    assert (found == np.take_along_axis(scores, expected, axis=1)).all()


def test_what_is_kept_are_the_best_unmasked_items() -> None:
    rows, _ = world(1, 12, 5)
    table = np.random.default_rng(1).random((5, 12))
    kept = Kept("it", measure(rows, (), lambda block: (table[block.id], None)))
    for i, one in enumerate(explicit(rows)):
        assert one.candidates is not None
        items, shares = kept.best(rows, i)
        listed = one.candidates[0]
        assert items.tolist() == listed[np.argsort(-table[i, listed])].tolist()
        assert shares.sum() == pytest.approx(1)


def test_law_memory_does_not_grow_with_rows_times_items(monkeypatch: pytest.MonkeyPatch) -> None:
    """4,000 rows of 5,000 items: 160 MB of scores, of which one block of 0.8 MB is there at a time."""
    n_items, count = 5000, 4000
    empty = Ragged(np.empty(0, np.int64), np.zeros(count + 1, np.int64))
    rows = Rows(
        np.arange(count), np.arange(count), np.zeros((count, 0), np.int64), np.arange(count) % n_items, None, None,
        Whole(n_items, empty),
    )  # fmt: skip
    entries = 100_000
    monkeypatch.setattr(whole, "ENTRIES", entries)
    scores = np.random.default_rng(0).random(n_items)
    sizes: list[int] = []

    def score(block: Rows) -> tuple[FloatArray, IntArray | None]:
        sizes.append(len(block) * n_items)
        return np.tile(scores, (len(block), 1)), None

    tracemalloc.start()
    table = measure(rows, [HitRatio(AtK(k=(20,)), None)], score)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert (len(table), max(sizes), sum(sizes)) == (count, entries, count * n_items)
    # at most 16 arrays of the size of a block, and 3 kB for each row (its 100 best with their scores)
    assert peak < 16 * 8 * entries + 3000 * count < count * n_items * 8 / 4
    assert sum(len(block) for block in blocks(rows)) == count


def test_rows_with_lists_are_no_whole_catalogue() -> None:
    with pytest.raises(ValueError, match="whole catalogue"):
        next(blocks(toy_rows(3, candidates=4)))
