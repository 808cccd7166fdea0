"""TRL's trainers on the same rows, as they stand; what they compute in each step is written down on the way.

Rows reach them as text and in the order given (their own switch ``train_sampling_strategy``). Nothing of their
arithmetic is replaced. KTO's estimate of the KL needs mismatched answers: TRL rotates those of a batch, chosen and
rejected alike; polo takes the next row's chosen one. Both get the latter here, as tokens that the trainer reads.
"""

from __future__ import annotations

import contextlib
import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from trl_bench.world import Row, text_of

os.environ.setdefault("TQDM_DISABLE", "1")


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Without the warnings and bars of four libraries."""
    import datasets
    import transformers

    datasets.disable_progress_bars()
    transformers.utils.logging.disable_progress_bar()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(logging.NOTSET)


def pairs(rows: Sequence[Row]) -> Any:
    """A data set of pairs: a row with k rejected answers is k pairs."""
    import datasets

    found = [
        {"prompt": text_of(row.prompt, first=True), "chosen": text_of(row.answers[0]), "rejected": text_of(answer)}
        for row in rows
        for answer in row.answers[1:]
    ]
    return datasets.Dataset.from_list(found)


def singles(rows: Sequence[Row], batch: int) -> Any:
    """KTO's form: of each batch of rows first all chosen answers, then all rejected ones."""
    import datasets

    found = []
    for start in range(0, len(rows), batch):
        for place in (0, 1):
            for row in rows[start : start + batch]:
                text = {"prompt": text_of(row.prompt, first=True), "completion": text_of(row.answers[place])}
                found.append({**text, "label": place == 0})
    return datasets.Dataset.from_list(found)


def arguments(kind: Any, out: Path, batch: int, lr: float, largest: float, **settings: Any) -> Any:
    """Settings that both sides share: constant rate, no decay, one thread of rows, float32 on a CPU."""
    plain = {
        "output_dir": str(out), "per_device_train_batch_size": batch, "learning_rate": lr, "lr_scheduler_type":
        "constant", "weight_decay": 0.0, "max_grad_norm": largest, "num_train_epochs": 1, "logging_steps": 1,
        "save_strategy": "no", "report_to": [], "use_cpu": True, "bf16": False, "gradient_checkpointing": False,
        "train_sampling_strategy": "sequential", "disable_tqdm": True, "dataloader_pin_memory": False, "seed": 0,
    }  # fmt: skip
    with quietly():
        return kind(**{**plain, **settings})


def recorded(kind: Any) -> Any:
    """A trainer of ``kind`` with ``losses`` and ``logged``, one entry a step; KTO's with polo's mismatched answers."""

    class Recorded(kind):  # type: ignore[misc] # a class of TRL
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            self.losses: list[float] = []
            self.logged: list[dict[str, float]] = []
            super().__init__(*args, **kwargs)

        def compute_loss(self, *args: Any, **kwargs: Any) -> Any:
            loss = super().compute_loss(*args, **kwargs)
            self.losses.append(float(loss.detach()))
            return loss

        def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
            own = getattr(self, "_metrics", None) or getattr(self, "_stored_metrics", {})
            held = {key: values for key, values in own.get("train", {}).items() if key.startswith("rewards/")}
            if held:
                self.logged.append({key: float(torch.tensor(values).mean()) for key, values in held.items()})
            super().log(logs, *args, **kwargs)

    return Recorded


def next_chosen(kind: Any, batch: int) -> Any:
    """A KTO trainer whose mismatched answer of each row is the chosen one of the next row of its batch."""

    class Next(kind):  # type: ignore[misc] # a class of TRL
        def _prepare_dataset(self, dataset: Any, *args: Any, **kwargs: Any) -> Any:
            made = super()._prepare_dataset(dataset, *args, **kwargs)
            ids, kl = made["completion_ids"], []
            for start in range(0, len(made), 2 * batch):
                half = len(made[start : start + 2 * batch]["label"]) // 2
                kl += [ids[start + (i + 1) % half] for _ in (0, 1) for i in range(half)]
            return made.remove_columns("KL_completion_ids").add_column("KL_completion_ids", kl)

    return Next
