"""What polo itself declares, through the same entry point as any plugin: what recipes may leave unsaid, and recipes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from polo.plugin.component import Component
from polo.plugin.hookspecs import hookimpl


@hookimpl
def polo_scorers() -> Sequence[Component]:
    """The default scorer, one for catalogues too large for it, and one for models with preferences of their own."""
    return [
        Component(
            name="policy",
            build="polo.model.scoring:PolicyScorer",
            options="polo.model.scoring:PolicyScorerOptions",
            summary="the policy scores the candidates itself",
        ),
        Component(
            name="search",
            build="polo.model.searching:SearchScorer",
            options="polo.model.searching:SearchOptions",
            summary="the policy finds the best of a whole catalogue, and where relevant items stand, not scoring all",
        ),
        Component(
            name="calibrated",
            build="polo.model.calibrated:CalibratedScorer",
            options="polo.model.calibrated:CalibratedOptions",
            summary="what the history adds to a score; how often an item is taken instead of the model's preference",
            source="arXiv 2104.08315, 2102.09690, 2007.07314",
        ),
    ]


@hookimpl
def polo_optimisers() -> Sequence[Component]:
    """The default optimiser, and the others that torch brings and recommenders use."""
    adam = "polo.train.optimiser_options:AdamOptions"
    return [
        Component(
            name="adamw",
            build="polo.train.optimisers:AdamW",
            options=adam,
            summary="Adam with weight decay apart from the gradient",
            source="AdamW, arXiv 1711.05101, alg. 2",
        ),
        Component(
            name="adam",
            build="polo.train.optimisers:Adam",
            options=adam,
            summary="Adam; weight decay is an L2 term in the gradient",
            source="Adam, arXiv 1412.6980, alg. 1",
        ),
        Component(
            name="sgd",
            build="polo.train.optimisers:Sgd",
            options="polo.train.optimiser_options:SgdOptions",
            summary="gradient descent, with momentum if asked",
        ),
        Component(
            name="adafactor",
            build="polo.train.optimisers:Adafactor",
            options="polo.train.optimiser_options:AdafactorOptions",
            summary="remembers means of rows and columns only; the rate is a share of a weight's size",
            source="Adafactor, arXiv 1804.04235, alg. 4-5",
        ),
    ]


@hookimpl
def polo_weight_averages() -> Sequence[Component]:
    """Means of the weights of a stage's steps."""
    return [
        Component(
            name="ema",
            build="polo.train.averages:Ema",
            options="polo.train.average_options:EmaOptions",
            summary="exponential moving average of the weights after every step",
        ),
        Component(
            name="last",
            build="polo.train.averages:Last",
            options="polo.train.average_options:LastOptions",
            summary="mean of the weights after each step of the last epochs",
            source="stochastic weight averaging, arXiv 1803.05407",
        ),
    ]


@hookimpl
def polo_launchers() -> Sequence[Component]:
    """Processes of this machine. torchrun and the like launch from outside and need no declaration."""
    return [
        Component(
            name="local",
            build="polo.run.processes:Local",
            options="polo.run.processes:LocalOptions",
            summary="processes of this machine",
        )
    ]


@hookimpl
def polo_recipes() -> Sequence[Path]:
    """Recipes inside the wheel, else those of the checkout."""
    here = Path(__file__).resolve().parents[1]
    folders = (here / "_recipes", here.parent / "recipes")
    return [next((folder for folder in folders if folder.is_dir()), folders[0])]
