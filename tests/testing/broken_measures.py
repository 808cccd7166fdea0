"""Data sources, evaluators, baselines, audits and trackers that break one law each."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from polo import Finding, ItemTable, Known, Ragged, Rows, Sequences, Splits
from polo.testing import small_splits
from polo.testing.stand_ins import StandInData, StandInEncoder
from tests.testing.broken import Table, broken


def _loading(change: Any) -> Any:
    return lambda self: change(small_splits())


def _test(splits: Splits, **columns: Any) -> Splits:
    return replace(splits, test=replace(splits.test, **columns))


def _count(self: Any) -> int:
    self.calls = getattr(self, "calls", 0) + 1
    return self.calls


class Loads:
    """How often any source of this table was loaded, so that two objects differ."""

    count = 0


def _other_each_time(self: Any) -> Splits:
    Loads.count += 1
    return small_splits(seed=Loads.count)


DATA: Table = {
    "has_rows": broken(
        StandInData, load=_loading(lambda s: replace(s, items=ItemTable(s.items.titles, ["same"] * len(s.items))))
    ),
    "rows_are_well_formed": broken(
        StandInData, load=_loading(lambda s: _test(s, history=s.test.history[:, ::-1].copy()))
    ),
    "ids_are_unique": broken(StandInData, load=_loading(lambda s: _test(s, id=s.train.id[: len(s.test)]))),
    "lists_hold_the_target": broken(
        StandInData, load=_loading(lambda s: _test(s, candidates=np.stack([s.test.target + 1] * 2, axis=1)))
    ),
    "sets_begin_with_the_target": broken(
        StandInData,
        load=_loading(lambda s: _test(s, relevant=Ragged.of([[t, t] for t in s.test.target.tolist()]))),
    ),
    "knows_what_was_taken": broken(
        StandInData, load=_loading(lambda s: replace(s, known_all=Known(np.zeros(0, int), np.zeros(0, int), 60)))
    ),
    "sequences_are_of_training": broken(
        StandInData,
        load=_loading(lambda s: replace(s, sequences=Sequences.of(s.test.user, s.test.target[:, None].tolist()))),
    ),
    "loads_alike_again": broken(StandInData, load=_other_each_time),
}


class Hits:
    """1 where the target is first."""

    needs = frozenset({"ranks"})

    def __init__(self, options: Any, context: Any) -> None: ...

    def per_row(self, ranked: Any) -> Any:
        return {"first": (ranked.above + ranked.tied / 2 < 1).astype(float)}


class Listed(Hits):
    """How many rows there are."""

    def per_row(self, ranked: Any) -> Any:
        return {}

    def totals(self, ranked: Any) -> Any:
        return {"rows": np.array([float(len(ranked.rows))])}

    def figures(self, totals: Any) -> Any:
        return {name: float(total[0]) for name, total in totals.items()}


def _spoil_scores(self: Any, ranked: Any) -> Any:
    found = Hits.per_row(self, ranked)
    ranked.scores[0] += 1
    return found


EVALUATORS: Table = {
    "says_what_it_needs": broken(Hits, needs=frozenset({"scores", "luck"})),
    "gives_a_value_a_row": broken(Hits, per_row=lambda self, ranked: {"first": np.full(len(ranked.rows), np.inf)}),
    "repeats_itself": broken(
        Hits,
        "rows_stand_alone",
        needs=frozenset({"scores"}),
        per_row=lambda self, ranked: {"calls": np.full(len(ranked.rows), float(_count(self)))},
    ),
    "rows_stand_alone": broken(
        Hits, per_row=lambda self, ranked: {"rows": np.full(len(ranked.rows), float(len(ranked.rows)))}
    ),
    "totals_add_up": broken(Listed, totals=lambda self, ranked: {"root": np.array([len(ranked.rows) ** 0.5])}),
    "likes_the_target_higher": broken(Hits, per_row=lambda self, ranked: {"above": ranked.above.astype(float)}),
    "changes_no_input": broken(Hits, per_row=_spoil_scores),
}


class Counts:
    """How often an item was chosen in training."""

    def __init__(self, options: Any, context: Any) -> None: ...

    def fit(self, splits: Splits) -> None:
        self.counts = np.bincount(splits.train.target, minlength=len(splits.items)).astype(float)

    def score(self, rows: Rows, candidates: Any) -> Any:
        return self.counts[candidates]


def _spoil_lists(self: Any, rows: Rows, candidates: Any) -> Any:
    scores = self.counts[candidates]
    candidates.sort(axis=1)
    return scores


BASELINES: Table = {
    "scores_every_candidate": broken(Counts, score=lambda self, rows, lists: self.counts[lists] + np.inf),
    "scores_alike_again": broken(
        Counts,
        "rows_stand_alone learns_from_training_alone",
        score=lambda self, rows, lists: self.counts[lists] + _count(self),
    ),
    "rows_stand_alone": broken(Counts, score=lambda self, rows, lists: self.counts[lists] + len(rows)),
    "learns_from_training_alone": broken(
        Counts,
        fit=lambda self, splits: setattr(
            self, "counts", np.bincount(splits.test.user * splits.test.target, minlength=2000).astype(float)
        ),
    ),
    "changes_no_input": broken(
        Counts, "scores_alike_again rows_stand_alone learns_from_training_alone", score=_spoil_lists
    ),
}


class Size:
    """How many items there are."""

    def __init__(self, options: Any, context: Any) -> None: ...

    def check(self, audited: Any) -> Finding:
        return Finding(float(len(audited.splits.items)), "ok", "There are items.")


class Audits:
    """How many audits of this table were built, so that two objects differ."""

    count = 0


def _counted(self: Any, audited: Any) -> Finding:
    Audits.count += 1
    return Finding(float(Audits.count), "ok", "Counted.")


def _spoil_targets(self: Any, audited: Any) -> Finding:
    audited.splits.test.target[0] = 0
    audited.splits.test.target[1] = 1
    return Finding(None, "ok", "Spoilt.")


AUDITS: Table = {
    "finds_something_to_say": broken(Size, check=lambda self, audited: Finding(float("inf"), "ok", "There are items.")),
    "says_what_to_do": broken(Size, check=lambda self, audited: Finding(1.0, "warn", "There are items.")),
    "finds_the_same_again": broken(Size, check=_counted),
    "changes_no_input": broken(Size, check=_spoil_targets),
}


class Keeps:
    """Keeps every line."""

    def __init__(self, options: Any, context: Any) -> None:
        self.lines: list[Any] = []

    def log(self, metrics: Any) -> None:
        self.lines.append(dict(metrics))

    def close(self) -> None: ...


def _only_steps(self: Any, metrics: Any) -> None:
    assert "loss" in metrics, "a step"


def _needs_a_line(self: Any) -> None:
    assert self.lines, "there was a line"


TRACKERS: Table = {
    "takes_every_line": broken(Keeps, "changes_no_line", log=_only_steps),
    "closes_without_a_line": broken(Keeps, close=_needs_a_line),
    "changes_no_line": broken(Keeps, log=lambda self, metrics: self.lines.append(metrics.pop("stage", None))),
}


def _held_out(self: Any, items: Any, splits: Splits) -> Any:
    return np.full((len(items), 2), float(len(splits.test)))


ENCODERS: Table = {
    "gives_a_vector_an_item": broken(StandInEncoder, vectors=lambda self, items, splits: np.ones(len(items))),
    "gives_the_same_again": broken(
        StandInEncoder,
        "learns_from_training_alone",
        vectors=lambda self, items, splits: np.full((len(items), 2), float(_count(self))),
    ),
    "learns_from_training_alone": broken(StandInEncoder, vectors=_held_out),
    "fingerprint_is_stable": broken(StandInEncoder, fingerprint=lambda self: str(id(self))),
}
