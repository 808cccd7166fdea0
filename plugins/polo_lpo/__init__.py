"""LPO, linear preference optimisation (arXiv 2508.14947). Declarations only: nothing heavy is imported."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl

_SOURCE = "LPO, arXiv 2508.14947"


@hookimpl
def polo_negative_samplers() -> Sequence[Component]:
    """Which pairs are trained on."""
    return [
        Component(
            name="reference_margin",
            build="polo_lpo.reference_margin:ReferenceMargin",
            options="polo_lpo.options:ReferenceMarginOptions",
            summary="without pairs whose answers the reference separates by more than a margin",
            source=f"{_SOURCE}, the released preparation of data",
            tags=("wrapper",),
        )
    ]


@hookimpl
def polo_loss_heads() -> Sequence[Component]:
    """From scores to a loss of each row."""
    return [
        Component(
            name="lpo",
            build="polo_lpo.heads:Lpo",
            options="polo_lpo.options:LpoOptions",
            summary="distance of the margin from 1 / (2 beta), speeds for chosen and rejected; as in the scripts",
            source=f"{_SOURCE}, `lpo-ste`",
        ),
        Component(
            name="lpo_argparse",
            build="polo_lpo.heads:Lpo",
            options="polo_lpo.options:LpoArgparseOptions",
            summary="lpo with the defaults of the released argument parser",
            source=f"{_SOURCE}, `lpo-ste`",
            tags=("preset",),
        ),
        Component(
            name="lpo_plain",
            build="polo_lpo.heads:LpoPlain",
            options="polo_lpo.options:LinearOptions",
            summary="distance of the margin from 1 / (2 beta), one speed",
            source=f"{_SOURCE}, `lpo`",
        ),
        Component(
            name="lpo_r",
            build="polo_lpo.heads:LpoR",
            options="polo_lpo.options:LpoOptions",
            summary="speeds inside the absolute value, so that they move the target too",
            source=f"{_SOURCE}, `lpo-r`",
        ),
        Component(
            name="lpo_dynamic",
            build="polo_lpo.heads:LpoDynamic",
            options="polo_lpo.options:LinearOptions",
            summary="rejected speed from how likely the two titles have become",
            source=f"{_SOURCE}, `lpo-ste-dynamic`",
        ),
    ]
