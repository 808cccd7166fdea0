"""How long a stage is, when it is measured, and at which rate it learns. Knows numbers of steps, no weights."""

from __future__ import annotations

import math
from collections.abc import Sequence

from polo.recipe.model import Epochs, Stage


def steps_of(stage: Stage, rows: int) -> int:
    """Optimiser steps of a stage over ``rows`` rows; the last batch of an epoch may be smaller."""
    return stage.steps or max(1, round((stage.epochs or 0) * math.ceil(rows / stage.batch)))


def validation_steps(stage: Stage, total: int, epoch: int) -> Sequence[int]:
    """Steps after which a stage of ``total`` steps is measured, besides the last; a tenth of it apart by default.

    Args:
        epoch: steps of an epoch.

    Example:
        >>> from polo.context import Choice
        >>> from polo.recipe.model import Epochs, Validate
        >>> list(validation_steps(Stage(loss=Choice("loss", "sft"), steps=25, lr=1.0), 25, 9))
        [0, 3, 6, 9, 12, 15, 18, 21, 24]
        >>> half = Validate(every=Epochs(epochs=0.5))
        >>> list(validation_steps(Stage(loss=Choice("loss", "sft"), steps=25, lr=1.0, validate=half), 25, 9))
        [0, 4, 9, 14, 18, 22]
    """
    every = math.ceil(total / 10) if stage.validate.every is None else stage.validate.every
    if isinstance(every, Epochs):
        times = range(math.ceil(total / (every.epochs * epoch)))
        return sorted({max(1, round(i * every.epochs * epoch)) if i else 0 for i in times})
    return range(0, total, every or total)


def learning_rate(stage: Stage, step: int, total: int) -> float:
    """Rate of step ``step`` (from 0): linear warm-up, then half a cosine to 0, or constant.

    Example:
        >>> from polo.context import Choice
        >>> s = Stage(loss=Choice("loss", "sft"), steps=10, lr=1.0, warmup=0.2)
        >>> [round(learning_rate(s, i, 10), 3) for i in (0, 1, 2, 6, 9)]
        [0.5, 1.0, 1.0, 0.5, 0.038]
    """
    warm = math.ceil(stage.warmup * total)
    if step < warm:
        return stage.lr * (step + 1) / warm
    if stage.schedule == "constant":
        return stage.lr
    return stage.lr * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, total - warm)))
