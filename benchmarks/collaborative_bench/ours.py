"""The same work by polo, through the loop and the evaluation that a recipe runs. Measures nothing."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from accelerate import Accelerator

from collaborative_bench.published import Sizes
from polo import Context, IntArray, Loss, Rows, Sampler, Splits
from polo.candidates import attach_all
from polo.console import Console
from polo.context import Choice
from polo.evaluate.whole import Kept, measure
from polo.model.scoring import score_every
from polo.recipe.model import Stage
from polo.testing import context
from polo.train.loop import Job, train
from polo.train.objective import Objective
from polo.train.optimiser_options import AdamOptions
from polo.train.optimisers import Adam
from polo_backbones.mf import MF
from polo_backbones.options import MFOptions
from polo_drrl.drrl import build
from polo_drrl.options import DrrlOptions
from polo_metrics.options import AtK
from polo_metrics.ranking import NDCG, Recall
from polo_preference.options.samplers import UniformOptions
from polo_preference.samplers.uniform import Uniform

#: vectors that a pass may gather: a batch is never cut
_TOKENS = 1 << 22


class Mine:
    """MF with DrRL over a world's rows."""

    def __init__(self, splits: Splits, sizes: Sizes) -> None:
        self.splits, self.sizes = splits, sizes
        self.context: Context = context(splits=splits)
        self.policy = MF(MFOptions(score="cosine", dim=sizes.dim), self.context)
        self.loss: Loss = build(
            DrrlOptions(threshold=sizes.threshold, threshold_lr=sizes.threshold_lr, omega=sizes.omega, c=sizes.c,
                        eps=sizes.eps),
            self.context,
        )  # fmt: skip
        self.sampler: Sampler = Uniform(UniformOptions(k=sizes.negatives), self.context)

    def train(self, steps: int | None = None) -> list[Mapping[str, Any]]:
        """A stage of so many steps, an epoch by default; the lines of its log."""
        return trained(
            self.policy, Objective(loss=self.loss, sampler=self.sampler), self.splits, self.sizes, self.context, steps
        )

    def test_rows(self) -> Rows:
        """The test rows with the whole catalogue, training items left out."""
        return attach_all(self.splits, self.splits.test, split="test", mask="train")

    def evaluate(self, rows: Rows, k: int) -> dict[str, float]:
        """Means of recall and NDCG at k; beside them all that an evaluation keeps is worked out."""
        judges = [Recall(AtK(k=(k,)), self.context), NDCG(AtK(k=(k,)), self.context)]
        kept = Kept("", measure(rows, judges, score_every(self.policy, _TOKENS))).values(rows, judges)
        return {name: float(kept[name].mean()) for name in (f"recall@{k}", f"ndcg@{k}")}


def trained(
    policy: Any, objective: Objective, splits: Splits, sizes: Sizes, where: Context, steps: int | None
) -> list[Mapping[str, Any]]:
    """Trains a policy by Adam at a constant rate; no validation, no checkpoints."""
    lines: list[Mapping[str, Any]] = []
    stage = Stage(
        loss=Choice("loss", "bench"), steps=steps, epochs=None if steps else 1, lr=sizes.lr, schedule="constant",
        warmup=0.0, clip=None, weight_decay=0.0, batch=sizes.batch, tokens_per_pass=_TOKENS, checkpoint=0,
    )  # fmt: skip
    with tempfile.TemporaryDirectory() as place:
        train(
            Job(
                name="bench", stage=stage, seed=0, policy=policy, objective=objective,
                optimiser=Adam(AdamOptions(), where), starts_at_reference=False, rows=splits.train,
                validation=splits.valid, accelerator=Accelerator(cpu=True), console=Console(silent=True),
                checkpoints=Path(place), log=lines.append, rewind=lambda name, step: None, resume_hint="",
            )
        )  # fmt: skip
    return lines


def pairs(rows: Rows, order: IntArray | None = None) -> tuple[torch.Tensor, torch.Tensor]:
    """Users and targets, in an order."""
    at = np.arange(len(rows)) if order is None else order
    return torch.from_numpy(rows.user[at]), torch.from_numpy(rows.target[at])
