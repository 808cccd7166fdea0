"""The recipe as data: what a recipe file may say, with types, bounds and defaults.

The dataclasses here are validated exactly as the options of a component are (strict types, bounds by annotated-types,
``Ref`` for components), so there is one set of rules for everything in a recipe. Knows no YAML and builds nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from annotated_types import Ge, Gt, Le, Len, Lt

from polo.context import Choice
from polo.errors import InputError
from polo.plugin.component import Ref


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """The list that is ranked for each row: the target and ``n - 1`` others, or the whole catalogue."""

    #: length of the list, the target included; ``all``: every item of the catalogue but what is masked
    n: Annotated[int, Ge(2)] | Literal["all"] = 20
    #: ``uniform``: drawn by (seed, row) from items the user is not known to have consumed; ``file``: the file's own.
    #: Where ``n`` is ``all`` nothing is drawn
    negatives: Literal["uniform", "file"] = "uniform"
    #: seed of the draw, and of which held-out rows are measured where a recipe asks for some of them
    seed: Annotated[int, Ge(0)] = 0
    #: of the whole catalogue, what is left out. ``taken``: what the user took before, that is the training split, what
    #: the row shows, and at test time the validation split; ``train``: the training split alone, as papers on
    #: collaborative filtering publish
    mask: Literal["taken", "train"] = "taken"

    def __post_init__(self) -> None:
        if self.n == "all" and self.negatives == "file":
            raise InputError(
                "n: all ranks the whole catalogue; negatives: file would never be looked at",
                fix="give n the length of the file's lists, or leave negatives out",
            )


@dataclass(frozen=True, kw_only=True)
class Epochs:
    """A length of training in passes over a stage's rows."""

    #: passes, or a share of one
    epochs: Annotated[float, Gt(0)]


@dataclass(frozen=True, kw_only=True)
class Validate:
    """Measurement on a fixed sample of the validation split while a stage trains."""

    #: optimiser steps between measurements, or ``{epochs: 0.5}``; a tenth of the stage if not given, 0 measures at the
    #: start and the end only
    every: Annotated[int, Ge(0)] | Epochs | None = None
    #: the stage ends after this many measurements in a row that were no better than the best before; never if not given
    patience: Annotated[int, Ge(1)] | None = None
    #: what measurements are compared by, for ``patience`` and ``select``, such as ``{use: ndcg, k: [20]}``: an
    #: evaluator with one figure of each row; the hit ratio at 1 of the target if not given
    metric: Ref["evaluator"] | None = None
    #: how many validation rows (all, if there are fewer)
    rows: Annotated[int, Ge(1)] = 400

    def __post_init__(self) -> None:
        if self.patience is not None and self.every == 0:
            fix = "set every to a number of steps or epochs, or leave patience out"
            raise InputError("patience needs measurements on the way, and every: 0 makes none", fix=fix)


@dataclass(frozen=True, kw_only=True)
class Stage:
    """One training stage. Exactly one of ``epochs`` and ``steps`` says how long it is."""

    #: what turns the scores of a row into its loss
    loss: Ref["loss"]
    #: whose weights the stage begins with: an earlier stage's, or ``base``; those of the stage before it if not given
    start: str | None = None
    #: which negatives are scored and enter the loss; a loss that looks at the chosen item alone needs none
    sampler: Ref["sampler"] | None = None
    #: how strongly each negative counts; for the losses that have a beta
    beta: Ref["beta"] | None = None
    #: length in passes over the stage's rows
    epochs: Annotated[float, Gt(0)] | None = None
    #: length in optimiser steps, instead of ``epochs``
    steps: Annotated[int, Ge(1)] | None = None
    #: what moves the weights along their gradient
    optimiser: Ref["optimiser"] = field(default_factory=lambda: Choice("optimiser", "adamw"))
    #: a mean of the weights of its steps takes their place wherever the stage is measured and in what it hands on, such
    #: as ``{use: ema, decay: 0.999}`` or ``{use: last, epochs: 2}``; no averaging if not given
    average: Ref["average"] | None = None
    #: peak learning rate
    lr: Annotated[float, Gt(0)]
    #: rows of one optimiser step, over all passes and processes
    batch: Annotated[int, Ge(1)] = 128
    #: share of the steps over which the learning rate rises from 0
    warmup: Annotated[float, Ge(0), Le(1)] = 0.05
    #: the learning rate after the warm-up: down to 0 along a cosine, or constant
    schedule: Literal["cosine", "constant"] = "cosine"
    #: the optimiser's weight decay
    weight_decay: Annotated[float, Ge(0)] = 0.0
    #: largest gradient norm; larger gradients are scaled down (none if null)
    clip: Annotated[float, Gt(0)] | None = 1.0
    #: train on the latest this many rows of each user, or on this share of them (such as 0.2, rounded down); all if
    #: not given
    latest: Annotated[int, Ge(1)] | Annotated[float, Gt(0), Lt(1)] | None = None
    #: train on this many rows, drawn by the seed; all if not given
    rows: Annotated[int, Ge(1)] | None = None
    #: memory, not mathematics: flat tokens of one forward pass
    tokens_per_pass: Annotated[int, Ge(1)] = 8192
    #: how the stage is measured while it trains
    validate: Validate = field(default_factory=Validate)
    #: which weights the stage hands on: the last, or those that were best on validation (by ``validate.metric``), its
    #: start among them
    select: Literal["last", "best_valid"] = "last"
    #: optimiser steps between checkpoints; 0 saves at the end of the stage only
    checkpoint: Annotated[int, Ge(0)] = 100


@dataclass(frozen=True, kw_only=True)
class Evaluate:
    """What is measured at the end, on which rows."""

    #: the engine that scores candidates
    scorer: Ref["scorer"] = field(default_factory=lambda: Choice("scorer", "policy"))
    #: the metrics
    evaluators: tuple[Ref["evaluator"], ...]
    #: ``all``, or a list of baselines; an empty list is recorded in the results
    baselines: Literal["all"] | tuple[Ref["baseline"], ...] = "all"
    #: whose rows are ranked
    split: Literal["valid", "test"] = "test"
    #: also measure the policy as it is before the first stage, as system ``base``
    start: bool = False
    #: evaluate this many rows, drawn by ``candidates.seed``; all if not given
    rows: Annotated[int, Ge(1)] | None = None


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """A whole recipe, validated. ``profiles``, ``extends`` and overrides are already merged in."""

    #: version of the recipe language
    polo: Literal[1]
    #: of the run, whose folder is ``NAME-STAMP``
    name: str
    #: of draws, new weights and the order of rows; candidates and data have seeds of their own
    seed: Annotated[int, Ge(0)] = 0
    #: distributions that must be installed, such as ``polo-plugin-x>=0.2``
    requires: tuple[str, ...] = ()
    #: plugin files to load, relative to the recipe
    plugins: tuple[str, ...] = ()
    #: where rows come from
    data: Ref["data"]
    #: the list that is ranked for each row
    candidates: Candidates = field(default_factory=Candidates)
    #: the model that is trained
    policy: Ref["policy"]
    #: what log-ratios are taken against: a stage's end, ``base`` (the start), ``none``, or a folder with weights
    reference: str = "base"
    #: a folder with weights to start from (a run's ``final/``)
    init_from: str | None = None
    #: name -> a training stage, in this order
    stages: Annotated[Mapping[str, Stage], Len(1)]
    #: what is measured at the end
    evaluate: Evaluate
    #: who receives every line of metrics
    trackers: tuple[Ref["tracker"], ...] = ()
    #: ``auto`` takes a GPU if there is one
    device: Literal["auto", "cpu", "cuda"] = "auto"
    #: ``bf16``: autocast, that is matrix products of every pass in bfloat16, of policy and reference alike, whatever
    #: type the weights have; log-softmax, losses and the optimiser stay in float32. ``auto``: bf16 on a GPU, fp32 on
    #: a CPU
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    #: where run folders are made
    out: str = "runs"


@dataclass(frozen=True)
class Resolved:
    """A recipe with everything that is known about how it came to be.

    Args:
        recipe: the validated recipe.
        tree: the same as plain data (mappings, lists, scalars), every default filled in, components as ``{use: ...}``;
            what ``resolved.yaml`` holds and fingerprints are taken of.
        origins: path such as ``("stages", "prefer", "lr")`` -> where its value comes from (``file:line:column``,
            ``override``, ``default``).
        profile: the profile that was merged in, or ``None``.
        text: the recipe file as given, ``overrides`` the ``key=value`` words as given.
        changed: what the profile set, as dotted paths.
    """

    recipe: Recipe
    tree: Mapping[str, Any]
    origins: Mapping[tuple[str | int, ...], str]
    profile: str | None
    text: str
    overrides: tuple[str, ...]
    changed: tuple[str, ...] = ()
