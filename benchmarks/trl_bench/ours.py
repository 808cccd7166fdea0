"""polo on rows with answers of their own: its engine, losses, reference, stepper and optimiser, as shipped.

The answers of all rows make up a catalogue of which each row's sampler draws the row's own, so that nothing of the
training step is other than in a run.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import Accelerator
from torch import Tensor

from polo import Context, Draw, RowRandom, Rows
from polo.model.reference import Reference, ScoreCache
from polo.model.sharding import clip
from polo.model.weights import snapshot, trainable
from polo.train.objective import Objective
from polo.train.optimiser_options import AdamOptions
from polo.train.optimisers import AdamW
from polo.train.step import Stepper
from polo_causal_lm.engines.choose import choose_engine
from polo_causal_lm.module import CandidateScorer
from polo_causal_lm.text import Encoded
from polo_preference.betas.fixed import Fixed
from polo_preference.options.betas import FixedOptions
from trl_bench.world import Row

#: what a loss head may be given of the outside: nothing here is drawn or built
CONTEXT = Context(seed=0, cache=Path(), build=lambda choice: choice)


class Answers:
    """A policy over given answers; follows :class:`polo.protocols.Policy` as far as a step asks."""

    unit: Literal["logprob"] = "logprob"
    pool: Literal["candidates", "catalogue"] = "candidates"

    def __init__(self, model: Any, rows: Sequence[Row], longest: int) -> None:
        engine, _ = choose_engine("auto", model, longest)
        self.module: torch.nn.Module = CandidateScorer(model, engine)
        self.engine = engine
        self._prompts = [row.prompt for row in rows]
        self._answers = [answer for row in rows for answer in row.answers]
        self._lengths = np.array([len(answer) for answer in self._answers])

    def score(self, rows: Rows, items: Tensor) -> Tensor:
        encoded = Encoded(
            [self._prompts[i] for i in rows.id], [[self._answers[j] for j in row] for row in items.tolist()]
        )
        scores: Tensor = self.module(self.engine.layout(encoded, torch.device("cpu")))
        return scores

    def tokens(self, items: Tensor) -> Tensor:
        return torch.from_numpy(self._lengths[items.numpy()])

    def cost(self, rows: Rows, n: int) -> np.ndarray:
        prompts = np.array([len(self._prompts[i]) for i in rows.id])
        return self.engine.cost(prompts, float(self._lengths.mean()), n)

    def keys(self, rows: Rows, items: Tensor) -> list[bytes]:
        return [
            int(i).to_bytes(8, "little") + hash(tuple(row)).to_bytes(8, "little", signed=True)
            for i, row in zip(rows.id, items.tolist(), strict=True)
        ]


class Own:
    """Draws each row's own rejected answers, all of them."""

    def __init__(self, k: int) -> None:
        self._k = k

    def draw(self, rows: Rows, rng: RowRandom, peek: Any) -> Draw:
        items = torch.from_numpy(rows.target)[:, None] + torch.arange(1, 1 + self._k)
        return Draw(items, torch.ones_like(items, dtype=torch.bool))

    def keep(self, scores: Any, rng: RowRandom, progress: float) -> Tensor:
        valid: Tensor = scores.valid_rejected
        return valid


def rows_of(n: int, k: int) -> Rows:
    """``n`` rows whose targets are the first answers of each."""
    number = np.arange(n)
    return Rows(id=number, user=number, history=np.full((n, 1), -1), target=number * (1 + k))


class Training:
    """A stage by hand: what a run does in its loop, with every figure of every step.

    Args:
        model: with adapters.
        rows: with their answers.
        loss: the head.
        beta: strength of the loss.
        lr: constant.
        tokens_per_pass: memory limit of a pass.
    """

    def __init__(
        self, model: Any, rows: Sequence[Row], loss: Any, beta: float, lr: float, tokens_per_pass: int = 1 << 20
    ) -> None:
        k = len(rows[0].answers) - 1
        longest = max(len(row.prompt) + max(map(len, row.answers)) for row in rows)
        self._policy, self._rows = Answers(model, rows, longest), rows_of(len(rows), k)
        self.beta, self._number = beta, 0
        cache = ScoreCache(None, {}, lambda line: None)
        self._policy.module.train()
        needed = "reference" in loss.needs
        reference = Reference(self._policy, snapshot(self._policy.module), cache, tokens_per_pass) if needed else None
        objective = Objective(
            loss=loss, sampler=Own(k), beta=Fixed(FixedOptions(value=beta), CONTEXT), reference=reference
        )
        self._stepper = Stepper(self._policy, objective, Accelerator(cpu=True), tokens_per_pass, (0, "bench"))
        self._weights = list(trainable(self._policy.module).values())
        groups = [{"params": self._weights, "lr": lr, "weight_decay": 0.0}]
        self._optimiser = AdamW(AdamOptions(), CONTEXT)(groups)

    def gradient(self, batch: np.ndarray) -> tuple[float, Tensor]:
        """The loss of a batch, and the rewards ``[B, 1+k]``; leaves the gradient in the adapters."""
        judged = self._stepper.backward(self._rows[batch], self._number, 0, 0.0)
        loss = float(torch.cat([one.loss for one in judged]).mean())
        order = torch.cat([one.scores.rows for one in judged]).argsort()
        policy = torch.cat([one.scores.policy for one in judged])[order]
        refs = [one.scores.ref for one in judged]
        known = [ref for ref in refs if ref is not None]
        ref = torch.cat(known)[order] if known else torch.zeros_like(policy)
        return loss, self.beta * (policy - ref)

    def step(self, batch: np.ndarray, largest: float) -> tuple[float, Tensor]:
        """A whole step, gradients cut down to the norm ``largest``."""
        found = self.gradient(batch)
        clip(self._weights, largest)
        self._optimiser.step()
        self.forget()
        self._number += 1
        return found

    def forget(self) -> None:
        """Drops the gradient."""
        self._optimiser.zero_grad(set_to_none=True)
