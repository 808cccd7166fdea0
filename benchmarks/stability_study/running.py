"""Makes and measures one cell in this process. Knows recipes and runs; knows no statistics."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

import polo_causal_lm.tiny.base as making
from polo.data import Rows
from polo.plugin.load import load_plugins
from polo.protocols import Policy
from polo.recipe import load
from polo.recipe.model import Resolved
from polo.run.prepare import ranked_on
from polo.run.run import Run
from stability_study.cells import DATA, DISTURBED, RECIPES, VARIANTS, Cell

#: standard deviation of what is added to every initial weight of a noisy cell
NOISE = 1e-7
#: rows of one pass while the base is measured, and its flat tokens
ROWS, TOKENS = 64, 8192


def measure(cell: Cell, keep: Callable[[dict[str, Any]], None], *, sft: bool) -> None:
    """HR@1 of the base and of the stage ``sft``; ``keep`` is told after each."""
    seed, noise, threads = DISTURBED[cell.disturbed]
    torch.set_num_threads(threads)
    began = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["POLO_CACHE"] = str(Path(folder) / "cache")
        losses = _watched(noise)
        plugins = load_plugins()
        resolved = _resolved(cell, seed, Path(folder), plugins)
        policy, ready = Run(resolved, plugins).opened(None)
        made = time.process_time() - began
        valid = ranked_on(resolved.recipe, ready.splits, ready.splits.valid, "valid")
        facts = {
            **asdict(cell),
            "options": VARIANTS[cell.variant],
            "base": hit_ratio(policy, ready.test),
            "base_valid": hit_ratio(policy, valid),
            "losses": losses,
            "cpu_seconds": round(made, 1),
            "sft": None,
        }
        keep(facts)
        if sft:
            _, results = Run(resolved, plugins).execute()
            keep({**facts, "sft": results["systems"]["model"]["hit_ratio@1"]["value"]})


def _watched(noise: int) -> list[float]:
    """The base's initial weights get their noise, and the losses of its epochs are told."""
    make, train, losses = making.make_model, making.train, list[float]()

    def noisy(*given: Any) -> Any:
        model = make(*given)
        if noise:
            rng = torch.Generator().manual_seed(noise)
            with torch.no_grad():
                for p in model.parameters():
                    p.add_(NOISE * torch.randn(p.shape, generator=rng))
        return model

    def told(*given: Any, **named: Any) -> None:
        train(*given, **named, after_epoch=lambda epoch, loss: losses.append(round(loss, 9)))

    making.make_model, making.train = noisy, told
    return losses


def _resolved(cell: Cell, seed: int, folder: Path, plugins: Any) -> Resolved:
    recipe, profile, words = DATA[cell.data]
    words = (
        f"seed={seed}", f"out={folder / 'runs'}", *words,
        "evaluate.evaluators=[{use: hit_ratio, k: [1]}]", "evaluate.baselines=[]", "stages.sft.validate={every: 0}",
    )  # fmt: skip
    if VARIANTS[cell.variant]:
        words = (*words, f"policy.base={{use: tiny_lm, {VARIANTS[cell.variant]}}}")
    full = load(RECIPES / recipe, overrides=words, profile=profile, plugins=plugins, gpu=False)
    only = replace(full.recipe, stages={"sft": full.recipe.stages["sft"]}, device="cpu")
    tree = {**full.tree, "stages": {"sft": full.tree["stages"]["sft"]}}
    return replace(full, recipe=only, tree=tree)


def hit_ratio(policy: Policy, rows: Rows) -> float:
    """Share of rows whose target is scored above every other candidate."""
    first = []
    for start in range(0, len(rows), ROWS):
        block = rows[np.arange(start, min(start + ROWS, len(rows)))]
        assert block.candidates is not None
        with torch.no_grad():
            scores = policy.score(block, torch.as_tensor(block.candidates)).double().numpy()
        target = block.candidates == block.target[:, None]
        first.append(scores[target] > np.where(target, -np.inf, scores).max(1))
    return float(np.concatenate(first).mean())
