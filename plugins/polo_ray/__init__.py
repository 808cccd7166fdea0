"""The launcher `ray`: the processes of a run on the nodes of a Ray cluster. Declarations only."""

from __future__ import annotations

from collections.abc import Sequence

from polo import Component, hookimpl


@hookimpl
def polo_launchers() -> Sequence[Component]:
    """Ray Train starts the processes, watches them, and starts all again when a worker or its node is gone."""
    return [
        Component(
            name="ray",
            build="polo_ray.launcher:Ray",
            options="polo_ray.options:RayOptions",
            summary="workers of a Ray cluster, started again from the newest checkpoint (extra: ray)",
        )
    ]
