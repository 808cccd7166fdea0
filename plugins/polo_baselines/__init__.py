"""What every model is measured beside: chance, popularity, and two ways of counting.

Declarations only; what they name is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_baselines() -> Sequence[Component]:
    """The baselines of this package."""
    return [
        Component(name="random", build="polo_baselines.simple:Random", summary="scores drawn by row"),
        Component(
            name="popularity",
            build="polo_baselines.simple:Popularity",
            summary="how often an item occurs in the training sequences",
        ),
        Component(
            name="item_knn",
            build="polo_baselines.counting:ItemKNN",
            summary="cosine of item co-occurrence, summed over the shown history",
            source="Deshpande & Karypis 2004, doi 10.1145/963770.963776",
        ),
        Component(
            name="markov",
            build="polo_baselines.counting:Markov",
            summary="directed co-occurrence within 10 steps, weighted 1/distance, summed over the shown history",
        ),
        Component(
            name="run",
            build="polo_baselines.run:FinishedRun",
            options="polo_baselines.options:RunOptions",
            summary="the scores that a system of a finished run gave to the same rows and candidates",
        ),
    ]
