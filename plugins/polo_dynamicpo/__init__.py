"""DynamicPO (arXiv 2605.00327): boundary negatives and dual-margin beta. Declarations only."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_negative_samplers() -> Sequence[Component]:
    """Which scored negatives enter the loss."""
    return [
        Component(
            name="boundary",
            build="polo_dynamicpo.boundary:Boundary",
            options="polo_dynamicpo.options:BoundaryOptions",
            summary="negatives scored above the target, else the highest of three clusters",
            source="DynamicPO, arXiv 2605.00327",
            tags=("wrapper", "collapse"),
        ),
    ]


@hookimpl
def polo_beta_schedules() -> Sequence[Component]:
    """Strength of each negative."""
    return [
        Component(
            name="dual_margin",
            build="polo_dynamicpo.dual_margin:DualMargin",
            options="polo_dynamicpo.options:DualMarginOptions",
            summary="beta of each negative from its margins to the target and to the easy negatives",
            source="DynamicPO, arXiv 2605.00327",
            tags=("collapse",),
        ),
    ]
