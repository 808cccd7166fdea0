"""What is trained: backbones, losses, what is searched for each, and planted false negatives. Words of recipes."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from scipy.stats import qmc

RECIPE: Final = Path(__file__).resolve().parents[2] / "recipes" / "beauty_drrl.yaml"
BACKBONES: Final[Mapping[str, Mapping[str, Any]]] = {
    "mf": {"use": "mf"},
    "lightgcn": {"use": "lightgcn", "layers": 2},
}


@dataclass(frozen=True)
class Range:
    """A number between two ends, searched on a scale of logarithms or not."""

    low: float
    high: float
    log: bool = False

    def at(self, share: float) -> float:
        """The number that lies at a share of the way, of three significant digits."""
        found = self.low * (self.high / self.low) ** share if self.log else self.low + share * (self.high - self.low)
        return float(f"{found:.3g}")


#: searched for every loss
LR: Final = Range(2e-3, 5e-2, log=True)
TAU: Final = Range(0.05, 0.4, log=True)
#: loss -> what is searched besides the learning rate
SEARCHED: Final[Mapping[str, Mapping[str, Range]]] = {
    "drrl": {"gamma": Range(0.05, 0.95), "c": Range(1.05, 20, log=True), "threshold": Range(0.0, 0.8)},
    "drrl_exact": {"gamma": Range(0.0, 0.95), "eta": Range(0.2, 3.0, log=True)},
    "sl": {"tau": TAU},
    "bsl": {"tau": TAU, "ratio": Range(0.5, 2, log=True)},
    "ccl": {"margin": Range(0.0, 0.9), "weight": Range(0.5, 50, log=True)},
    "bpr": {"l2": Range(1e-5, 1e-2, log=True)},
}


@dataclass(frozen=True)
class Size:
    """How much is done."""

    draws: int = 6
    epochs: int = 8
    seeds: int = 3
    negatives: int = 64
    rates: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5)


@dataclass(frozen=True)
class Cell:
    """One training.

    Args:
        split: what it is measured on: ``valid`` in the search, else ``test``.
        rate: share of negatives that are replaced by items that the user took in training.
    """

    backbone: str
    loss: str
    draw: int
    split: str
    seed: int
    rate: float = 0.0

    @property
    def key(self) -> str:
        noise = f"-noise{self.rate:g}" if self.rate else ""
        return f"{self.backbone}-{self.loss}-draw{self.draw}-{self.split}-seed{self.seed}{noise}"


def settings(loss: str, draws: int) -> Sequence[Mapping[str, float]]:
    """``draws`` settings of a loss: a scrambled Halton sequence over its ranges, the same for every backbone.

    Example:
        >>> [sorted(one) for one in settings("sl", 2)]
        [['lr', 'tau'], ['lr', 'tau']]
    """
    ranges = {"lr": LR, **SEARCHED[loss]}
    points = qmc.Halton(len(ranges), scramble=True, rng=0).random(draws)
    return [{name: one.at(u) for (name, one), u in zip(ranges.items(), point, strict=True)} for point in points]


def overrides(cell: Cell, size: Size, data: str) -> list[str]:
    """The words that make the recipe this cell."""
    given = settings(cell.loss, size.draws)[cell.draw]
    policy: dict[str, Any] = {**BACKBONES[cell.backbone], "dim": 64, "score": "cosine"}
    sampler: dict[str, Any] = {"use": "uniform", "k": size.negatives}
    beta: Any = None
    if cell.loss == "drrl":
        loss: dict[str, Any] = {"use": "drrl", "gamma": given["gamma"], "c": given["c"], "eps": 0.0,
                                "threshold": given["threshold"], "threshold_lr": 1e-2}  # fmt: skip
    elif cell.loss == "drrl_exact":  # each row's best threshold: the largest mean in the ball of radius eta
        c = float(f"{math.exp(given['eta'] * (1 - given['gamma'])):.4g}")
        loss = {"use": "drrl", "gamma": given["gamma"], "c": c, "eps": 0.0, "solver": "bisect"}
    elif cell.loss == "ccl":
        loss = {"use": "ccl", "margin": given["margin"], "weight": given["weight"]}
    elif cell.loss == "bpr":  # inner products and one negative, as published
        policy |= {"score": "inner", "l2": given["l2"]}
        loss, sampler["k"] = {"use": "bpr"}, 1
    else:
        extra = {"ratio": given["ratio"]} if cell.loss == "bsl" else {"positive": False}
        loss = {"use": {"sl": "softmax"}.get(cell.loss, cell.loss), **extra}
        beta = {"use": "fixed", "value": float(f"{1 / given['tau']:.4g}")}
    if cell.rate:
        sampler = {"use": "noisy", "rate": cell.rate, "repeat": True, "from": sampler}
    words = {
        "seed": cell.seed,
        "data.folder": f"drrl-iid/{data}",
        "data.name": f"drrl_{data}",
        "policy": policy,
        "stages.prefer.loss": loss,
        "stages.prefer.sampler": sampler,
        "stages.prefer.beta": beta,
        "stages.prefer.lr": given["lr"],
        "stages.prefer.epochs": size.epochs,
        "stages.prefer.validate": {"rows": 1, "every": 0},
        "stages.prefer.select": "last",
        "evaluate.split": cell.split,
    }
    return [f"{name}={json.dumps(value)}" for name, value in words.items()]


def searched(backbone: str, loss: str, size: Size) -> list[Cell]:
    """The search of one loss on one backbone, on validation rows and seed 0."""
    return [Cell(backbone, loss, draw, "valid", 0) for draw in range(size.draws)]


def measured(backbone: str, loss: str, draw: int, size: Size, rate: float = 0.0) -> list[Cell]:
    """The chosen setting on test rows, once for each seed."""
    return [Cell(backbone, loss, draw, "test", seed, rate) for seed in range(1, size.seeds + 1)]
