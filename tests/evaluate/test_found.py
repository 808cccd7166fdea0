"""What is kept of a whole catalogue that was searched, against scoring all of it: the same metrics of ranks."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from polo import PAD, FloatArray, IntArray, Placed, Ragged, Rows, Top
from polo.data import Whole
from polo.evaluate import found
from polo.evaluate.found import measure_found
from polo.evaluate.whole import Kept, measure
from polo.protocols import Finder
from polo_metrics.options import AtK
from polo_metrics.ranking import MAP, MRR, NDCG, HitRatio, Precision, Recall

K = 4
CUT = AtK(k=(1, 2, K))
#: metrics of the first K, and those of every rank
FIRST = [one(CUT, None) for one in (HitRatio, Recall, Precision, NDCG)]
EVERY = [*FIRST, MRR(None, None), MAP(None, None)]


def world(seed: int, n_items: int, count: int, *, several: bool) -> tuple[Rows, FloatArray, IntArray]:
    """Rows, and scores of few values (so that many tie), and tokens of each item."""
    rng = np.random.default_rng(seed)
    relevant = [rng.permutation(n_items)[: rng.integers(1, 4)].tolist() for _ in range(count)]
    without = [np.setdiff1d(rng.permutation(n_items)[: rng.integers(0, 3)], one).tolist() for one in relevant]
    rows = Rows(
        np.arange(count), np.arange(count), np.full((count, 1), PAD), np.array([one[0] for one in relevant]), None,
        Ragged.of(relevant) if several else None, Whole(n_items, Ragged.of(without)),
    )  # fmt: skip
    return rows, -rng.integers(1, 5, (count, n_items)).astype(np.float64), rng.integers(1, 4, n_items)


def finder(scores: FloatArray, tokens: IntArray, *, exact: bool) -> Finder:
    """Counts everything; where not ``exact``, tells nothing of what is behind the first K but that it is."""

    def placed(rows: Rows, asked: Ragged, table: FloatArray) -> Placed:
        items, best = np.full((len(rows), K), PAD), np.full((len(rows), K), -np.inf)
        columns: list[tuple[float, int, int, bool]] = []
        for i, row in enumerate(rows.id):
            assert rows.whole is not None
            ranked = np.setdiff1d(np.arange(table.shape[1]), rows.whole.without[np.array([i])].items)
            order = ranked[np.argsort(-table[row, ranked], kind="stable")][:K]
            items[i, : len(order)], best[i, : len(order)] = order, table[row, order]
            for own in table[row, asked[np.array([i])].items]:
                above, tied = int((table[row, ranked] > own).sum()), int((table[row, ranked] == own).sum()) - 1
                known = exact or above < K
                columns.append((own, above if known else K, tied if known else 0, known))
        score, above_, tied_, known_ = (np.array(column) for column in zip(*columns, strict=True))
        return Placed(Top(items, best, np.ones(items.shape, np.bool_)), score, above_, tied_, known_)

    def find(rows: Rows, asked: Ragged) -> tuple[dict[str, Placed], IntArray]:
        kinds = {"": scores, "/mean": scores / tokens}
        return {name: placed(rows, asked, table) for name, table in kinds.items()}, tokens[rows.target]

    return find


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.integers(6, 12), st.integers(1, 7), st.booleans(), st.booleans(), st.integers(1, 9))
def test_law_metrics_of_places_are_those_of_all_scores(
    seed: int, n_items: int, count: int, several: bool, exact: bool, block: int
) -> None:
    rows, scores, tokens = world(seed, n_items, count, several=several)
    judges = EVERY if exact else FIRST

    def score(part: Rows) -> tuple[FloatArray, IntArray]:
        return scores[part.id].copy(), np.broadcast_to(tokens, (len(part), n_items))

    whole = Kept("it", measure(rows, judges, score))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(found, "ROWS", block)
        table = measure_found(rows, judges, finder(scores, tokens, exact=exact), exact=exact)
    kept = Kept("it", table)
    expected, values = whole.values(rows, judges), kept.values(rows, judges)
    if not exact:
        expected = {name: value for name, value in expected.items() if "preference_accuracy" not in name}
    if (tokens == 1).all():  # then scoring has no means, which are the sums
        expected |= {f"{name}/mean": value for name, value in expected.items()}
    assert values.keys() == expected.keys()
    for name, value in expected.items():
        assert values[name] == pytest.approx(value, abs=1e-12), name
    above, tied = whole.places(rows)
    known = table["exact"].to_numpy()
    assert (known == (exact | (above < K))).all()
    assert [one[known].tolist() for one in kept.places(rows)] == [above[known].tolist(), tied[known].tolist()]
    assert (kept.places(rows)[0][~known] >= K).all()
    for i in range(count):
        assert kept.best(rows, i)[0].tolist() == whole.best(rows, i)[0][:K].tolist()
        items, shares = kept.best(rows, i)
        assert shares == pytest.approx(np.exp(scores[i, items])), "the share among all texts"
    assert kept.target_tokens(rows).tolist() == whole.target_tokens(rows).tolist()
