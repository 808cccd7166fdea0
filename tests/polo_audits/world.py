"""A clean small data set, and ways to spoil it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from polo import Audited, Choice, Context, IntArray, ItemTable, Rows, Sequences, Splits
from polo.audit.verdicts import Check, audited, check
from polo.candidates import attach
from polo.plugin.load import load_plugins
from polo.recipe.model import Candidates
from polo_datasets.building import finish, leave_last_out

N_ITEMS, N_USERS, N = 250, 300, 10
AUDITS = ("candidates", "false_negatives", "leakage", "order", "overlap", "overlap_file", "popularity", "text", "ties")


def sequences(rng: np.random.Generator, n_items: int = N_ITEMS, steep: float = 0.5) -> list[IntArray]:
    """Different items for each user, popular ones more often, in no order."""
    weight = 1 / np.arange(1, n_items + 1) ** steep
    lengths = rng.integers(12, 20, N_USERS)
    return [rng.choice(n_items, size=k, replace=False, p=weight / weight.sum()) for k in lengths]


def splits_of(
    lists: list[IntArray], titles: list[str] | None = None, tied: float | None = 0.02, history: int = 5
) -> Splits:
    titles = titles or [f"word{i:03d}" for i in range(N_ITEMS)]
    items = ItemTable(titles, [str(i) for i in range(len(titles))])
    walks = Sequences.of(range(len(lists)), [one.tolist() for one in lists])
    return finish(
        leave_last_out(walks, history, 3),
        name="clean",
        form="",
        items=items,
        licence="",
        notes={},
        where="",
        tied_times=tied,
    )


def clean(seed: int) -> Splits:
    return splits_of(sequences(np.random.default_rng(seed)))


def with_lists(splits: Splits, change: Callable[[str, Rows], Rows] = lambda name, rows: rows) -> Splits:
    """The data as a file that holds lists of its own: drawn fairly, then changed."""
    found = {}
    for name in ("train", "valid", "test"):
        rows = attach(splits, getattr(splits, name), n=N, seed=1, known=splits.known_all)
        found[name] = change(name, rows)
    return replace(splits, **found)


def fired(checks: list[Check]) -> set[str]:
    broken = [c.finding.meaning for c in checks if "audit itself broke" in c.finding.meaning]
    assert not broken, broken
    return {c.name for c in checks if c.finding.verdict != "ok"}


def audits(names: tuple[str, ...] = AUDITS) -> dict[str, Any]:
    catalogue = load_plugins().catalogue

    def build(choice: Choice) -> Any:
        return catalogue.find(choice.kind, choice.name).load_build()(choice.options, context)

    context = Context(seed=0, cache=Path("unused"), build=build)
    return {name: build(Choice("audit", name)) for name in names}


def subject(splits: Splits, negatives: Any = "uniform") -> Audited:
    return audited(splits, Candidates(n=N, negatives=negatives))


def run(splits: Splits, negatives: Any = "uniform") -> list[Check]:
    return check(audits(), subject(splits, negatives))
