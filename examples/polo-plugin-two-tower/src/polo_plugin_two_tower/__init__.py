"""The policy `two_tower`, for polo. Declarations only, so that listing it costs nothing."""

from collections.abc import Sequence
from pathlib import Path

from polo import Component, hookimpl

#: the polo.PLUGIN_API that this was written for: another one is refused by name, instead of failing somewhere inside
POLO_PLUGIN_API = 1


@hookimpl
def polo_policies() -> Sequence[Component]:
    """The policy of this plugin."""
    return [
        Component(
            name="two_tower",
            build="polo_plugin_two_tower.policy:TwoTower",
            options="polo_plugin_two_tower.options:TwoTowerOptions",
            summary="a tower that reads titles, and one that reads the vectors of the history",
            source="Yi et al., RecSys 2019, sec. 3",
        )
    ]


@hookimpl
def polo_recipes() -> Sequence[Path]:
    """The example."""
    return [Path(__file__).parent / "recipes"]
