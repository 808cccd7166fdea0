"""The published DynamicPO trainer on our users, from a local clone of its repository (``xingyuHuxingyu/DynamicPO``).

Its own concatenated forward, log-probabilities and loss are run as they stand, in its mode ``DMPO`` (all negatives, one
beta): its boundary modes differ between published versions, in the margin and in names, and from exact clusters. The
trainer object is made without its constructor, which puts tensors on ``cuda``, hands arguments to transformers by
position and names a method as a newer one of transformers: with it, the file needs five changes to run on a CPU with
transformers 5. Two packages that it imports for annotations and configuration only may be missing.
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
import types
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from polo_causal_lm.engines.base import causal_lm
from polo_causal_lm.loading import enable_checkpointing
from polo_causal_lm.text import Encoded
from step_bench.compare import Bench
from step_bench.contestants import BASE, OURS, POLICY, REFERENCE
from step_bench.world import TINY, random_model

MODULE = "trainer.dynamicpo_trainer"


class Official:
    """One step of the published trainer, with the surface of a :class:`~step_bench.contestants.Contestant`."""

    def __init__(self, clone: Path, bench: Bench) -> None:
        published = _import(clone)
        self.model = random_model(bench.shape, BASE, POLICY)
        enable_checkpointing(causal_lm(self.model), reentrant=True)
        self.model.enable_input_require_grads()
        self.loss = float("nan")
        trainer = object.__new__(published.DPOTrainer)
        trainer.__dict__.update(
            ref_model=random_model(bench.shape, BASE, REFERENCE).eval(),
            filter_mode="DMPO",
            beta=1.0,
            label_pad_token_id=-100,
            padding_value=0,
            accelerator=types.SimpleNamespace(device=torch.device("cpu"), is_main_process=True),
            _stored_metrics=defaultdict(lambda: defaultdict(list)),
        )
        for between in ("boundary2discriminative", "pos2boundary", "hard_neg2easy_neg", "pos2hardneg"):
            for kind in ("mean", "std"):
                setattr(trainer, f"delta_{between}_{kind}", torch.zeros(1))
        self._trainer = trainer

    def step(self, users: Encoded) -> None:
        self.model.zero_grad(set_to_none=True)
        loss, _ = self._trainer._get_batch_metrics(self.model, _batch(users))  # noqa: SLF001 - what it trains by
        loss.backward()
        self.loss = float(loss.detach())

    def gradient(self) -> torch.Tensor:
        return torch.cat([p.grad.flatten() for p in self.model.parameters() if p.grad is not None])


def _import(clone: Path) -> Any:
    import transformers

    _ = transformers.Trainer, transformers.TrainingArguments  # they look for `datasets`, and must not find a stand-in
    missing = []
    for name, names in (("datasets", ["Dataset"]), ("omegaconf", ["DictConfig", "OmegaConf"])):
        if importlib.util.find_spec(name) is None:
            missing.append(name)
            sys.modules[name] = types.ModuleType(name)
            for each in names:
                setattr(sys.modules[name], each, type(each, (), {}))
    sys.path.insert(0, str(clone))
    try:
        return importlib.import_module(MODULE)
    finally:
        for name in missing:
            del sys.modules[name]


def _batch(users: Encoded) -> dict[str, torch.Tensor]:
    """As the published collator lays a batch out: one matrix for the chosen titles, one for each negative."""
    batch = {}
    for j in range(len(users.titles[0])):
        rows = [
            (torch.from_numpy(prompt), torch.from_numpy(titles[j]))
            for prompt, titles in zip(users.prompts, users.titles, strict=True)
        ]
        prefix = "chosen" if j == 0 else f"rejected{j}"
        ids = [torch.cat(row) for row in rows]
        labels = [torch.cat([torch.full_like(prompt, -100), title]) for prompt, title in rows]
        pad = torch.nn.utils.rnn.pad_sequence
        batch[f"{prefix}_input_ids"] = pad(ids, batch_first=True)
        batch[f"{prefix}_attention_mask"] = pad([torch.ones_like(row) for row in ids], batch_first=True)
        batch[f"{prefix}_labels"] = pad(labels, batch_first=True, padding_value=-100)
    return batch


def official(clone: Path, rounds: int, ks: tuple[int, ...] = (1, 5)) -> int:
    """Races the published trainer against ours on the tiny shape, two users; 1 if they do not agree."""
    from step_bench.compare import difference, race_of

    status = 0
    for k in ks:
        bench = Bench(TINY, k, 1, users=2)
        slow, fast = Official(clone, bench), bench.contestant(replace(OURS, selection=None))
        naive_mb, ours_mb, pairs = race_of(bench, slow, fast, rounds)
        ratios = sorted(a / b for a, b in pairs)
        dloss, dgrad = difference(slow, fast)
        print(
            f"tiny, k = {k}, 2 users: published over ours: time {ratios[len(ratios) // 2]:.1f}x "
            f"({ratios[0]:.1f}-{ratios[-1]:.1f}), memory {naive_mb / ours_mb:.1f}x, "
            f"dloss {dloss:.1e}, dgrad {dgrad:.1e}",
            flush=True,
        )
        status |= int(dloss > 1e-4 or dgrad > 2e-5)
    return status
