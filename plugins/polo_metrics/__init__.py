"""Evaluators: ranking metrics over candidate lists, coverage and popularity, implicit reward, generated titles.

Declarations only; what they name is imported when it is used.
"""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_evaluators() -> Sequence[Component]:
    """The evaluators of this package."""
    return [
        Component(
            name="hit_ratio",
            build="polo_metrics.ranking:HitRatio",
            options="polo_metrics.options:AtK",
            summary="how often the target, or a relevant item, is among the first k",
        ),
        Component(
            name="ndcg",
            build="polo_metrics.ranking:NDCG",
            options="polo_metrics.options:AtK",
            summary="1 / log2(1 + rank) summed over relevant items among the first k, divided by the most it can be",
            source="Järvelin & Kekäläinen 2002, doi 10.1145/582415.582418",
        ),
        Component(
            name="recall",
            build="polo_metrics.ranking:Recall",
            options="polo_metrics.options:AtK",
            summary="share of the relevant items among the first k; with one target the same as hit_ratio",
        ),
        Component(
            name="precision",
            build="polo_metrics.ranking:Precision",
            options="polo_metrics.options:AtK",
            summary="share of the first k that is relevant",
        ),
        Component(
            name="average_precision",
            build="polo_metrics.ranking:MAP",
            summary="average precision: the precision at the rank of each relevant item, averaged over these",
            source="ties as in McSherry & Najork 2008, doi 10.1007/978-3-540-78646-7_38",
        ),
        Component(
            name="mrr", build="polo_metrics.ranking:MRR", summary="1 / rank of the target, or first relevant item"
        ),
        Component(
            name="coverage",
            build="polo_metrics.catalogue:Coverage",
            options="polo_metrics.options:AtK",
            summary="share of the catalogue that is among the first k of at least one row",
        ),
        Component(
            name="popularity_lift",
            build="polo_metrics.catalogue:PopularityLift",
            options="polo_metrics.options:AtK",
            summary="mean log popularity of the first k minus that of what was chosen",
        ),
        Component(
            name="reward",
            build="polo_metrics.policy:Reward",
            summary="accuracy and margin of the implicit reward, against a reference that is a stage of the run",
            source="DPO, arXiv 2305.18290, eq. 5",
        ),
        Component(
            name="likelihood",
            build="polo_metrics.preference:Likelihood",
            summary="mean log-probability of a token, of chosen and of rejected answers",
        ),
        Component(
            name="length_controlled",
            build="polo_metrics.preference:LengthControlled",
            summary="accuracy half over pairs whose chosen answer is longer, half over those whose is shorter",
        ),
        Component(
            name="valid_ratio",
            build="polo_metrics.policy:ValidRatio",
            summary="greedy completions that name exactly one candidate, and how many of them name the target",
            source="LLaRA, arXiv 2312.02445",
        ),
    ]
