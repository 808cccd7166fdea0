"""What every model is measured beside: chance, popularity, titles, two ways of counting, and two of least squares.

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
            name="length",
            build="polo_baselines.simple:Length",
            summary="the longer answer is the better one; for rows with texts of their own",
        ),
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
            name="content_knn",
            build="polo_baselines.content:ContentKNN",
            options="polo_baselines.options:ContentOptions",
            summary="cosine of item vectors, as of titles, summed over the shown history; nothing is trained",
            source="Pazzani & Billsus 2007, doi 10.1007/978-3-540-72079-9_10",
        ),
        Component(
            name="ease",
            build="polo_baselines.ease:Ease",
            options="polo_baselines.options:EaseOptions",
            summary="each item predicted from all others by ridge regression, in closed form",
            source="EASE, arXiv 1905.03375",
        ),
        Component(
            name="ials",
            build="polo_baselines.ials:Ials",
            options="polo_baselines.options:IalsOptions",
            summary="matrix factorisation by alternating least squares over all entries",
            source="iALS, doi 10.1109/ICDM.2008.22; form of arXiv 2110.14037",
        ),
        Component(
            name="run",
            build="polo_baselines.run:FinishedRun",
            options="polo_baselines.options:RunOptions",
            summary="the scores that a system of a finished run gave to the same rows and candidates",
        ),
    ]
