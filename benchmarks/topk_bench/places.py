"""Evaluating on a whole catalogue by search against scoring all of it: the same places, in which time."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from polo import FloatArray, Placed, Ragged
from topk_bench.worlds import World

#: best items that an evaluation keeps
FIRST = 100
#: float32 scores of one title in two forms of computation; nearer ones may change places
NEAR = 1e-3


@dataclass(frozen=True)
class Line:
    """One way to evaluate: process seconds of a user, how much faster than scoring all, and how places compare.

    Args:
        users: how many.
        seconds: of a user, all of them together.
        times: scoring all takes this many times as long.
        whole: share of users whose catalogue was scored after all.
        same: share of targets with the same number of titles above them (not counted: those that are only known to be
            behind the best).
        near: the same, where titles within :data:`NEAR` of the target may be on either side.
        hits: largest difference of a hit ratio at 1, 10 and :data:`FIRST`.
    """

    users: int
    seconds: float
    times: float
    whole: float
    same: float
    near: float
    hits: float


def _timed(call: Callable[[], Any]) -> tuple[float, Any]:
    start = time.process_time()
    result = call()
    return time.process_time() - start, result


def evaluated(world: World, budget: int) -> dict[str, Line]:
    """Lines of ``exact``, ``first`` and ``exact, mean too`` of a world's rows."""
    policy, rows, n = world.policy, world.rows, len(world.policy.texts.titles)
    everything = torch.arange(n)[None]
    policy.top_items(rows[:1], 1)  # builds the tree, which is no part of a user's time
    spent, scores = 0.0, list[FloatArray]()
    for i in range(len(rows)):
        took, found = _timed(lambda i=i: policy.score_many(rows[i : i + 1], everything, budget))
        spent += took
        scores.append(found[0].double().numpy())
    table, line = np.stack(scores), np.arange(len(rows))
    own = table[line, rows.target][:, None]
    above = (table > own).sum(axis=1)
    least, most = (table > own + NEAR).sum(axis=1), (table > own - NEAR).sum(axis=1) - 1
    asked = Ragged(rows.target, np.arange(len(rows) + 1))
    lines = {}
    for name, exact, rankings in (
        ("exact", True, ("sum",)),
        ("first", False, ("sum",)),
        ("exact, mean too", True, ("sum", "mean")),
    ):
        calls = list[int]()

        def count(row: Any, items: Any, budget: int, calls: list[int] = calls) -> Any:
            calls.append(len(row))
            return type(policy).score_many(policy, row, items, budget)

        policy.score_many = count  # type: ignore[method-assign]
        took, found = _timed(
            lambda exact=exact, rankings=rankings: policy.place_items(
                rows, FIRST, asked, rankings=rankings, exact=exact, budget=budget
            )
        )
        del policy.score_many
        lines[name] = _line(found[0], took, spent, sum(calls) / len(rows), above, least, most)
    return lines


def _line(found: Placed, took: float, spent: float, whole: float, above: Any, least: Any, most: Any) -> Line:
    sure = found.exact
    there = (found.above >= least) & (found.above <= most)
    hits = [abs(float((found.above < k).mean() - (above < k).mean())) for k in (1, 10, FIRST)]
    return Line(
        users=len(above),
        seconds=took / len(above),
        times=spent / took,
        whole=whole,
        same=float((found.above == above)[sure].mean()),
        near=float(there[sure].mean()),
        hits=max(hits),
    )
