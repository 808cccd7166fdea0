"""What polo itself declares, through the same entry point as any plugin: the policy as its own scorer, and recipes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polo.plugin.component import Component
from polo.plugin.hookspecs import hookimpl


@hookimpl
def polo_scorers() -> Sequence[Component]:
    """The default scorer."""
    return [
        Component(
            name="policy",
            build="polo.model.scoring:PolicyScorer",
            options="polo.model.scoring:PolicyScorerOptions",
            summary="the policy scores the candidates itself",
        )
    ]


@hookimpl
def polo_recipes() -> Sequence[Path]:
    """Recipes inside the wheel, else those of the checkout."""
    here = Path(__file__).resolve().parent
    folders = (here / "_recipes", here.parent / "recipes")
    return [next((folder for folder in folders if folder.is_dir()), folders[0])]
