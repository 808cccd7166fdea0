"""A small data set and a context, made up on the spot: what components are built with in tests."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from polo.context import Choice, Context
from polo.data import PAD, ItemTable, Known, Rows, Sequences, Splits


def small_splits(
    *, users: int = 24, items: int = 60, history: int = 5, seed: int = 0, lists: int | None = None
) -> Splits:
    """Splits of a made-up catalogue in which low item numbers are popular.

    Args:
        users, items: how many.
        history: length of the shown window.
        seed: of everything.
        lists: length of the candidate lists that the rows carry; none if not given.

    Example:
        >>> splits = small_splits(users=3, items=20)
        >>> len(splits.items), len(splits.train) > 3, splits.train.candidates is None
        (20, True, True)
    """
    rng = np.random.default_rng(seed)
    weight = 1.0 / np.arange(1, items + 1)
    taken = [
        rng.choice(
            items, size=int(rng.integers(4, max(5, min(12, items // 3)))), replace=False, p=weight / weight.sum()
        )
        for _ in range(users)
    ]
    sequences = Sequences.of(range(users), [list(t[:-2]) for t in taken])
    examples = {
        "train": [(u, t[:at], t[at]) for u, t in enumerate(taken) for at in range(1, len(t) - 2)],
        "valid": [(u, t[:-2], t[-2]) for u, t in enumerate(taken)],
        "test": [(u, t[:-1], t[-1]) for u, t in enumerate(taken)],
    }
    known_all = Known(
        np.repeat(np.arange(users), [len(t) for t in taken]), np.concatenate(taken).astype(np.int64), items
    )
    known_train = Known(np.repeat(sequences.user, np.diff(sequences.offsets)), sequences.items, items)
    start, made = 0, dict[str, Rows]()
    for name, of in examples.items():
        made[name] = _rows(of, start, history, items, lists, rng)
        start += len(of)
    return Splits(
        name="small",
        form="made up",
        items=ItemTable([f"Item {i}" for i in range(items)], [str(i) for i in range(items)]),
        sequences=sequences,
        known_train=known_train,
        known_all=known_all,
        fingerprint=f"small-{users}-{items}-{history}-{seed}-{lists}",
        train=made["train"],
        valid=made["valid"],
        test=made["test"],
    )


def _rows(
    examples: list[tuple[int, Any, Any]], start: int, history: int, items: int, lists: int | None, rng: Any
) -> Rows:
    shown = np.full((len(examples), history), PAD, dtype=np.int64)
    for i, (_, before, _target) in enumerate(examples):
        window = before[-history:]
        shown[i, history - len(window) :] = window
    target = np.array([t for _, _, t in examples], dtype=np.int64)
    candidates = None
    if lists is not None:
        candidates = np.stack([rng.choice(np.delete(np.arange(items), t), lists, replace=False) for t in target])
        candidates[np.arange(len(target)), rng.integers(lists, size=len(target))] = target
    return Rows(
        id=np.arange(start, start + len(examples)),
        user=np.array([u for u, _, _ in examples], dtype=np.int64),
        history=shown,
        target=target,
        candidates=candidates,
    )


def context(
    *,
    splits: Splits | None = None,
    seed: int = 0,
    build: Callable[[Choice], Any] | None = None,
    cache: Path | None = None,
) -> Context:
    """A context to build a component with.

    Args:
        splits: the data.
        seed: the recipe's seed.
        build: turns the value of a ``Ref`` option into an object; needed by components that have one.
        cache: folder for files; by default the system's folder for temporary files.
    """

    def refuse(choice: Choice) -> Any:
        raise AssertionError(f"this component builds {choice.kind} {choice.name!r}: pass `build`")

    return Context(seed=seed, cache=cache or Path(tempfile.gettempdir()), build=build or refuse, splits=splits)
