"""What a training step costs with TRL's DPOTrainer and with polo, on the same rows, base and adapters.

TRL gets a row with k rejected answers as k pairs, which is how it takes them. Its side is timed at its fastest here:
reference precomputed, no checkpointing. Two more of its forms are looked at for one rejected answer: its defaults (a
live reference, checkpointing), and the head at answers only, which it has on a GPU and not on a CPU.
"""

from __future__ import annotations

import contextlib
import statistics
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
import torch
from step_bench.measure import peak_megabytes, seconds
from step_bench.world import SHAPES, random_model

from polo_preference.losses.dpo import Dpo
from polo_preference.options.losses import PairOptions
from trl_bench.ours import CONTEXT, Training
from trl_bench.theirs import arguments, pairs, quietly
from trl_bench.world import Row, random_rows, tokenizer_of

BETA = 0.1
#: float32: of the loss, and of the gradient relative to its length
LOSS_TOLERANCE, GRADIENT_TOLERANCE = 1e-4, 1e-4


@dataclass(frozen=True)
class Point:
    """One cell: a shape of the step benchmark, tokens of a prompt and an answer, rejected answers, rows in a batch."""

    shape: str
    prompt: int
    answer: int
    k: int
    rows: int


@dataclass(frozen=True)
class Cost:
    """Ratios are TRL's over polo's; seconds (of process time) and MB are those of a step."""

    shape: str
    prompt: int
    answer: int
    k: int
    rows: int
    time_ratio: float
    low: float
    high: float
    memory_ratio: float
    trl_s: float
    polo_s: float
    trl_mb: float
    polo_mb: float
    dloss: float
    dgrad: float
    time_ratio_default: float | None = None
    memory_ratio_default: float | None = None
    time_ratio_head: float | None = None
    memory_ratio_head: float | None = None

    @property
    def agrees(self) -> bool:
        return self.dloss <= LOSS_TOLERANCE and self.dgrad <= GRADIENT_TOLERANCE

    def figures(self) -> dict[str, Any]:
        """As the JSON file has them."""
        return asdict(self)


class Theirs:
    """One training step of TRL's trainer, up to the gradient."""

    def __init__(self, shape: str, rows: list[Row], place: Path, *, fastest: bool, head: bool = False) -> None:
        import trl

        self._head = head
        data = pairs(rows)
        settings = arguments(
            trl.DPOConfig, place / "out", len(data), 1e-4, 1.0, beta=BETA, max_length=None,
            precompute_ref_log_probs=fastest, gradient_checkpointing=not fastest,
        )  # fmt: skip
        self.model = random_model(SHAPES[shape], 0, 1)
        with quietly():
            self._trainer = trl.DPOTrainer(
                model=self.model,
                args=settings,
                train_dataset=data,
                processing_class=tokenizer_of(SHAPES[shape].vocab),
            )
            self._trainer.current_gradient_accumulation_steps = 1
            (self._batch,) = list(self._trainer.get_train_dataloader())
        self.loss = float("nan")

    def step(self) -> None:
        with _head_at_answers() if self._head else contextlib.nullcontext():
            loss = self._trainer.training_step(self.model, dict(self._batch))
        self.loss = float(loss)

    def gradient(self) -> torch.Tensor:
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])

    def forget(self) -> None:
        self.model.zero_grad(set_to_none=True)


@contextlib.contextmanager
def _head_at_answers() -> Iterator[None]:
    """TRL picks the positions with a label where it runs Triton; its kernel of a CPU takes them as well."""
    from trl.trainer import utils

    with mock.patch.object(utils, "_use_triton", return_value=True):  # there is no switch
        yield


class Ours:
    """The same step of polo."""

    def __init__(self, shape: str, rows: list[Row]) -> None:
        self.model = random_model(SHAPES[shape], 0, 1)
        self._training = Training(self.model, rows, Dpo(PairOptions(), CONTEXT), BETA, 1e-4)
        self._all = np.arange(len(rows))
        self.loss = float("nan")

    def step(self) -> None:
        self.loss, _ = self._training.gradient(self._all)

    def gradient(self) -> torch.Tensor:
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])

    def forget(self) -> None:
        self.model.zero_grad(set_to_none=True)


def _megabytes(one: Theirs | Ours) -> float:
    """Peak MB of a step."""
    peak = peak_megabytes(one.step)
    one.forget()
    return peak


def _seconds(one: Theirs | Ours, repeats: int = 1) -> float:
    found = []
    for _ in range(repeats):
        found.append(seconds(one.step))
        one.forget()
    return statistics.median(found)


def cost(point: Point, rounds: int, seed: int, *, forms: bool = True) -> Cost:
    """Both sides of a cell, interleaved.

    Args:
        point: the cell.
        rounds: of which medians are taken.
        seed: of the rows.
        forms: also look at TRL's other forms, once each.
    """
    answer = (point.answer, point.answer)
    rows = random_rows(point.rows, point.k, SHAPES[point.shape].vocab, (point.prompt, point.prompt), answer, seed)
    with tempfile.TemporaryDirectory() as place:
        theirs, ours = Theirs(point.shape, rows, Path(place), fastest=True), Ours(point.shape, rows)
        ours.step()  # the reference, which TRL has precomputed
        ours.forget()
        trl_mb, polo_mb = _megabytes(theirs), _megabytes(ours)
        _seconds(ours)  # the allocator's first pages; one of TRL's steps has been made as well
        times = [(_seconds(theirs), _seconds(ours, 3)) for _ in range(rounds)]
        ratios = sorted(a / b for a, b in times)
        theirs.step(), ours.step()
        a, b = theirs.gradient(), ours.gradient()
        dloss, dgrad = abs(theirs.loss - ours.loss), float((a - b).norm() / a.norm())
        theirs.forget(), ours.forget()
        polo_s = statistics.median(b for _, b in times)
        extra: dict[str, float] = {}
        if forms:
            for name, options in (("default", {"fastest": False}), ("head", {"fastest": True, "head": True})):
                other = Theirs(point.shape, rows, Path(place) / name, **options)
                extra[f"memory_ratio_{name}"] = _megabytes(other) / polo_mb
                extra[f"time_ratio_{name}"] = _seconds(other) / _seconds(ours, 3)
    return Cost(
        **asdict(point), time_ratio=statistics.median(ratios), low=ratios[0], high=ratios[-1],
        memory_ratio=trl_mb / polo_mb, trl_s=statistics.median(a for a, _ in times), polo_s=polo_s, trl_mb=trl_mb,
        polo_mb=polo_mb, dloss=dloss, dgrad=dgrad, **extra,
    )  # fmt: skip
