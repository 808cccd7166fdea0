"""Thirty steps of TRL's trainers and of polo from the same weights: losses, rewards and weights of every step.

What is compared is the largest difference over all steps of the loss and of the mean rewards, relative to their size
where that is above 1, and of any adapter weight at the end.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from torch import Tensor

from polo_preference.losses.cpo import Cpo
from polo_preference.losses.dpo import Dpo
from polo_preference.losses.hinge import Hinge
from polo_preference.losses.ipo import Ipo
from polo_preference.losses.kto import Kto
from polo_preference.losses.robust_dpo import RobustDpo
from polo_preference.losses.simpo import Simpo
from polo_preference.options.losses import (
    CpoOptions,
    KtoOptions,
    LengthOptions,
    PairOptions,
    SimpoOptions,
    SmoothedOptions,
)
from trl_bench.ours import CONTEXT, Training
from trl_bench.theirs import arguments, next_chosen, pairs, quietly, recorded, singles
from trl_bench.world import Row, adapters, random_rows, small_base, tokenizer_of, with_adapters

STEPS, BATCH, LR, LARGEST, VOCAB = 30, 4, 1e-3, 1.0, 320
#: largest difference that counts as agreement
TOLERANCE = 1e-4
#: lengths of an answer; of one length where TRL takes a mean over the tokens of a batch and polo one over rows
MANY, ONE = (4, 24), (12, 12)


@dataclass(frozen=True)
class Pair:
    """A loss of both sides.

    Args:
        ours: the head.
        trainer: name of TRL's trainer.
        settings: of that.
        beta: of both.
        answer: shortest and longest answer.
        reward: from polo's ``beta (policy - reference)`` and the tokens of each answer to what TRL logs.
    """

    ours: Callable[[], Any]
    trainer: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    beta: float = 0.1
    answer: tuple[int, int] = MANY
    reward: Callable[[Tensor, Tensor], Tensor] = lambda rewards, tokens: rewards


PAIRS: dict[str, Pair] = {
    "dpo": Pair(lambda: Dpo(PairOptions(), CONTEXT), "dpo", {"loss_type": ["sigmoid"]}),
    "ipo": Pair(lambda: Ipo(LengthOptions(length="mean"), CONTEXT), "dpo", {"loss_type": ["ipo"]}),
    "hinge": Pair(lambda: Hinge(PairOptions(), CONTEXT), "dpo", {"loss_type": ["hinge"]}),
    "robust": Pair(
        lambda: RobustDpo(SmoothedOptions(smoothing=0.2), CONTEXT),
        "dpo",
        {"loss_type": ["robust"], "label_smoothing": 0.2},
    ),
    "simpo": Pair(
        lambda: Simpo(SimpoOptions(gamma=0.5), CONTEXT),
        "cpo",
        {"loss_type": "simpo", "simpo_gamma": 0.5, "cpo_alpha": 0.0},
        beta=2.0,
        reward=lambda rewards, tokens: rewards / tokens,
    ),
    "cpo": Pair(
        lambda: Cpo(CpoOptions(nll=1.0, reduce="token"), CONTEXT),
        "cpo",
        {"loss_type": "sigmoid", "cpo_alpha": 1.0},
        answer=ONE,
    ),
    "kto": Pair(lambda: Kto(KtoOptions(), CONTEXT), "kto"),
}


def parity(name: str, steps: int = STEPS, seed: int = 0) -> dict[str, float]:
    """Largest differences of ``loss``, ``rewards`` and ``weights`` over ``steps`` steps."""
    pair = PAIRS[name]
    rows = random_rows(steps * BATCH, 1, VOCAB, (8, 40), pair.answer, seed)
    with tempfile.TemporaryDirectory() as place, quietly():
        base = small_base(Path(place) / "base", VOCAB, seed)

        def model() -> Any:
            return with_adapters(transformers.AutoModelForCausalLM.from_pretrained(base), seed + 1)

        theirs = _trainer(pair, model(), rows, Path(place))
        theirs.train()
        mine = model()
        training = Training(mine, rows, pair.ours(), pair.beta, LR)
        tokens = torch.tensor([[len(answer) for answer in row.answers] for row in rows])
        losses, rewards = [], []
        for step in range(steps):
            batch = np.arange(step * BATCH, (step + 1) * BATCH)
            loss, reward = training.step(batch, LARGEST)
            losses.append(loss)
            rewards.append(pair.reward(reward, tokens[batch]).mean(0).tolist())
        ended = adapters(theirs.model)
        logged = [(one["rewards/chosen"], one["rewards/rejected"]) for one in theirs.logged[:steps]]
    weights = max(float((ended[key] - value).abs().max()) for key, value in adapters(mine).items())
    return {"loss": _far(theirs.losses, losses), "rewards": _far(logged, rewards), "weights": weights}


def _far(theirs: Any, ours: Any) -> float:
    a, b = np.array(theirs, dtype=np.float64), np.array(ours, dtype=np.float64)
    if a.shape != b.shape:
        raise ValueError(f"TRL has written down {a.shape} figures, polo {b.shape}")
    return float((np.abs(a - b) / np.maximum(1, np.abs(b))).max())


def _trainer(pair: Pair, model: Any, rows: list[Row], place: Path) -> Any:
    import trl

    batch, data = BATCH, None
    if pair.trainer == "dpo":
        kind, config, data = trl.DPOTrainer, trl.DPOConfig, pairs(rows)
    elif pair.trainer == "kto":
        kind, config, data = next_chosen(trl.KTOTrainer, BATCH), trl.KTOConfig, singles(rows, BATCH)
        batch = 2 * BATCH
    else:
        from trl.experimental.cpo import CPOConfig, CPOTrainer

        kind, config, data = CPOTrainer, CPOConfig, pairs(rows)
    settings = arguments(config, place / "out", batch, LR, LARGEST, beta=pair.beta, **pair.settings)
    made = recorded(kind)(model=model, args=settings, train_dataset=data, processing_class=tokenizer_of(VOCAB))
    made.remove_callback(transformers.PrinterCallback)
    return made
