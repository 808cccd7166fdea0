"""Near misses for polo: a negative sampler and a loss. Declarations only, so that listing them costs nothing."""

from collections.abc import Sequence
from pathlib import Path

from polo import Component, hookimpl

#: the polo.PLUGIN_API that this was written for: another one is refused by name, instead of failing somewhere inside
POLO_PLUGIN_API = 1


@hookimpl
def polo_negative_samplers() -> Sequence[Component]:
    """The sampler."""
    return [
        Component(
            name="co_taken",
            build="polo_plugin_co_taken.sampler:CoTaken",
            options="polo_plugin_co_taken.options:CoTakenOptions",
            summary="negatives that were taken beside the row's last item",
            source="weighted draws: Efraimidis & Spirakis, Inf. Process. Lett. 97(5), 2006",
        )
    ]


@hookimpl
def polo_loss_heads() -> Sequence[Component]:
    """The loss."""
    return [
        Component(
            name="focal_pairs",
            build="polo_plugin_co_taken.loss:FocalPairs",
            options="polo_plugin_co_taken.options:FocalPairsOptions",
            summary="DPO whose easy pairs count less",
            source="focal loss, arXiv 1708.02002, eq. 4, of pairs",
        )
    ]


@hookimpl
def polo_recipes() -> Sequence[Path]:
    """The example."""
    return [Path(__file__).parent / "recipes"]
