"""The rows that a stage of a run was trained on, with the negatives drawn for them, as preference data of any trainer.

Knows runs, draws and the form of the files (that of TRL); how rows become text is the policy's business.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from polo.data import PAD, IntArray, Rows
from polo.errors import InputError
from polo.protocols import Policy, Refresh, Spells
from polo.randomness import RowRandom
from polo.run.run import Run
from polo.scores import Draw
from polo.store.files import whole_folder, write_bytes
from polo.store.runfolder import RunFolder
from polo.train.objective import Objective
from polo.train.order import Order


@dataclass(frozen=True)
class Asked:
    """What of a run is wanted.

    Args:
        stage: whose training rows and negatives.
        epoch: whose draw of negatives, from 0.
        pairs: one line for each negative, instead of a list of them in each line.
    """

    stage: str
    epoch: int
    pairs: bool


def export_rows(job: Run, run: RunFolder, asked: Asked, folder: Path, say: Callable[[str], None]) -> None:
    """Writes ``train.jsonl``, ``valid.jsonl`` and ``test.jsonl``; a split whose rows have no lists is left out.

    A line has ``prompt``, ``chosen`` and ``rejected``; or ``prompt`` and ``completion`` where a stage draws no
    negatives. Training rows stand in their order, so that a stage of the same seed takes them in the same batches.

    Args:
        job: the run's recipe and plugins.
        run: its folder.
        asked: what is wanted.
        folder: where the files go; must not be there.
        say: receives what is left out.

    Raises:
        InputError: no such stage, a policy without words, or negatives that cannot be drawn again.
    """
    stages = job.recipe.stages
    if asked.stage not in stages:
        raise InputError(f"this run has no stage '{asked.stage}'", where="--stage", fix=f"one of: {', '.join(stages)}")
    if folder.exists():
        raise InputError("exists already", where=str(folder), fix="name another folder")
    policy, ready = job.opened(run)
    if not isinstance(policy, Spells):
        raise InputError(f"policy '{job.recipe.policy.name}' has no words for its rows", where=str(run.path),
                         fix="export rows of a run with a text policy")  # fmt: skip
    key, rows = (job.recipe.seed, asked.stage), ready.train[asked.stage]
    order = Order(rows, stages[asked.stage].batch, policy, key)
    negatives = drawn(ready.objectives[asked.stage], rows, order, (*key, "draw", asked.epoch), asked.epoch)
    lists = {"valid": ready.validation[asked.stage], "test": ready.test}
    with whole_folder(folder, manifest=False, replace=False) as work:
        _write(work / "train.jsonl", lines(policy, rows, negatives, pairs=asked.pairs))
        for name, measured in lists.items():
            if not len(measured):
                continue
            if measured.candidates is None:
                say(f"{name} rows are not written: the whole catalogue is ranked for them, and no list is theirs")
                continue
            others = np.where(measured.candidates == measured.target[:, None], PAD, measured.candidates)
            _write(work / f"{name}.jsonl", lines(policy, measured, others, pairs=asked.pairs))


def drawn(objective: Objective, rows: Rows, order: Order, key: tuple[int | str, ...], epoch: int) -> IntArray | None:
    """``[N, K]`` the negatives that an epoch drew for its rows, :data:`PAD` where there are fewer; none: ``None``.

    They are drawn in the epoch's batches, as some samplers draw from these.

    Raises:
        InputError: they hang on what the policy scored while it was trained.
    """
    if objective.sampler is None:
        return None
    if isinstance(objective.sampler, Refresh):
        raise _looks()
    at = {number: place for place, number in enumerate(rows.id.tolist())}
    parts: list[tuple[IntArray, IntArray]] = []
    for step in range(epoch * order.steps, (epoch + 1) * order.steps):
        batch, _ = order.batch(step)
        draw: Draw = objective.sampler.draw(batch, RowRandom(*key), _unseen)
        items = torch.where(draw.valid, draw.items, PAD).numpy()
        parts.append((np.array([at[number] for number in batch.id.tolist()], np.int64), items))
    found = np.full((len(rows), max(items.shape[1] for _, items in parts)), PAD, np.int64)
    for places, items in parts:
        found[places, : items.shape[1]] = items
    return found


def _unseen(rows: Rows, items: torch.Tensor) -> torch.Tensor:
    raise _looks()


def _looks() -> InputError:
    return InputError(
        "the sampler chooses by what the policy scores, which changed with every step of training",
        where="sampler",
        fix="export a stage whose sampler draws without looking",
    )


def lines(policy: Policy, rows: Rows, negatives: IntArray | None, *, pairs: bool) -> Iterator[Mapping[str, Any]]:
    """A record for each row; for each of its negatives if ``pairs``.

    Raises:
        InputError: a row without any negative: it is a good answer alone, which no form of pairs can say.
    """
    assert isinstance(policy, Spells)
    beside = np.empty((len(rows), 0), np.int64) if negatives is None else negatives
    real = beside != PAD
    if negatives is not None and not real.any(axis=1).all():
        number = int(rows.id[np.flatnonzero(~real.any(axis=1))[0]])
        raise InputError(f"row {number} has no negative, so that it makes no pair", where="sampler",
                         fix="draw from a larger pool")  # fmt: skip
    items = np.concatenate([rows.target[:, None], np.where(real, beside, rows.target[:, None])], axis=1)
    for (prompt, answers), there in zip(policy.spelled(rows, items), real, strict=True):
        chosen, others = answers[0], [said for said, is_there in zip(answers[1:], there, strict=True) if is_there]
        if negatives is None:
            yield {"prompt": prompt, "completion": chosen}
        elif pairs:
            yield from ({"prompt": prompt, "chosen": chosen, "rejected": one} for one in others)
        else:
            yield {"prompt": prompt, "chosen": chosen, "rejected": others}


def _write(path: Path, records: Iterator[Mapping[str, Any]]) -> None:
    text = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    write_bytes(path, text.encode("utf-8", "surrogatepass"))
