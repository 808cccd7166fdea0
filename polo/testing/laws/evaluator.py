"""What every evaluator keeps, on made-up scores of candidate lists."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from polo.data import FloatArray, Rows
from polo.protocols import Evaluator, Ranked, Totals
from polo.testing.subject import Subject
from polo.testing.world import small_splits

#: what an evaluator may need
NEEDS = frozenset({"ranks", "scores", "reference", "tokens", "generation", "items", "all_rows"})
#: candidates of a row
_LIST = 12


def says_what_it_needs(subject: Subject) -> None:
    """`needs` is a set of: ranks, scores, reference, tokens, generation, items, all_rows."""
    evaluator: Evaluator = subject.new()
    assert set(evaluator.needs) <= NEEDS, f"needs {sorted(set(evaluator.needs) - NEEDS)}: it may need {sorted(NEEDS)}"


def gives_a_value_a_row(subject: Subject) -> None:
    """A finite value of each row under each name; or totals, whose figures are finite; and some figure at all."""
    evaluator: Evaluator = subject.new()
    ranked = _ranked()
    values = evaluator.per_row(ranked)
    for name, value in values.items():
        assert value.shape == (len(ranked.rows),), f"{name}: a value of each row, not shape {value.shape}"
        assert np.isfinite(value).all(), f"{name} is finite"
    figures = _figures(evaluator, ranked)
    assert {**values, **figures}, "it measures something"
    assert np.isfinite(list(figures.values())).all(), f"figures are finite: {figures}"


def repeats_itself(subject: Subject) -> None:
    """Calling twice gives the same values."""
    evaluator: Evaluator = subject.new()
    ranked = _ranked()
    first, second = evaluator.per_row(ranked), evaluator.per_row(ranked)
    assert all(np.array_equal(first[name], second[name]) for name in first), "calling twice gives the same values"
    assert _figures(evaluator, ranked) == _figures(evaluator, ranked), "calling twice gives the same figures"


def rows_stand_alone(subject: Subject) -> None:
    """A row's value does not depend on other rows, so that it can be measured in parts; unless it needs `all_rows`."""
    evaluator: Evaluator = subject.new()
    if "all_rows" in evaluator.needs:
        return
    some = np.array([7, 2, 5])
    whole, part = evaluator.per_row(_ranked()), evaluator.per_row(_ranked(some))
    assert all(np.allclose(whole[name][some], part[name], rtol=1e-12) for name in whole), (
        "a row's value depends on that row alone (else give totals, see polo.Totals, or need `all_rows`)"
    )


def totals_add_up(subject: Subject) -> None:
    """The totals of two sets of rows sum to those of both together."""
    evaluator = subject.new()
    if not isinstance(evaluator, Totals):
        return
    n = len(_ranked().rows)
    whole = evaluator.totals(_ranked())
    halves = [evaluator.totals(_ranked(rows)) for rows in (np.arange(n // 2), np.arange(n // 2, n))]
    for name, total in whole.items():
        # -inf is the logarithm of 0, and stays it
        assert np.allclose(halves[0][name] + halves[1][name], total, rtol=1e-9), f"totals of {name} add up"


def likes_the_target_higher(subject: Subject) -> None:
    """Of what depends on ranks alone, no value falls when the target is scored higher, ties with others included."""
    evaluator: Evaluator = subject.new()
    if set(evaluator.needs) != {"ranks"}:
        return
    last: Mapping[str, FloatArray] = {}
    for score in (-5.0, -0.5, 0.0, 0.5, 5.0):  # below all others, among them, and above
        scores = np.round(_scores() * 2) / 2
        rows = _rows()
        assert rows.candidates is not None
        scores[rows.candidates == rows.target[:, None]] = score
        values = evaluator.per_row(Ranked.of(rows, scores))
        for name in last:
            assert (values[name] >= last[name] - 1e-12).all(), f"{name} falls when the target is scored higher"
        last = values


def changes_no_input(subject: Subject) -> None:
    """Scores and lists are the same after a call."""
    evaluator: Evaluator = subject.new()
    ranked = _ranked()
    assert ranked.rows.candidates is not None
    before = ranked.scores.copy(), ranked.rows.candidates.copy(), ranked.above.copy()
    evaluator.per_row(ranked)
    _figures(evaluator, ranked)
    after = ranked.scores, ranked.rows.candidates, ranked.above
    assert all(map(np.array_equal, before, after)), "the inputs are not changed"


def _rows() -> Rows:
    return small_splits(lists=_LIST).test


def _scores(words: int = 0) -> FloatArray:
    return np.random.default_rng(words).normal(size=(len(_rows()), _LIST))


def _ranked(some: object = None) -> Ranked:
    rows, scores, reference = _rows(), np.round(_scores(), 1), _scores(1)
    names = small_splits().items.titles
    written = [names[int(t)] if t % 2 else "nothing" for t in rows.target]
    at = np.arange(len(rows)) if some is None else np.asarray(some)
    tokens = np.random.default_rng(2).integers(1, 6, size=scores.shape)
    return Ranked.of(rows[at], scores[at], reference[at], [written[i] for i in at], tokens[at])


def _figures(evaluator: Evaluator, ranked: Ranked) -> Mapping[str, float]:
    return evaluator.figures(evaluator.totals(ranked)) if isinstance(evaluator, Totals) else {}


LAWS = (
    says_what_it_needs,
    gives_a_value_a_row,
    repeats_itself,
    rows_stand_alone,
    totals_add_up,
    likes_the_target_higher,
    changes_no_input,
)
